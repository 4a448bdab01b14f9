import type { MachineView } from './pinging-machine.js';

/** Two machines on a switch, wherever they run. */
export interface MachineLab {
  /** What is known of each; undefined as long as nothing is. */
  views(): readonly (MachineView | undefined)[];
  /** Frames that the switch sent to one port, and to all. */
  switched(): { readonly forwarded: number; readonly flooded: number };
  pause(isPaused: boolean): void;
}
