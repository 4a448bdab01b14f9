import type { Stage } from '../stage.js';

/** One thing that a driver is put through, on a machine of its own. */
export interface Scenario {
  readonly name: string;
  /** What the device does, or the driver is asked for. */
  readonly title: string;
  /** Needs a device that works when it is told to. */
  readonly inTurns?: boolean;
  /** Queue pairs that the device has; 1 unless given. */
  readonly pairs?: number;
  /** @returns why there was nothing to be looked at */
  run(stage: Stage): string | undefined;
}
