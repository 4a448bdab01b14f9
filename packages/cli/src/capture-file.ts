import { CaptureFile } from '@ringwire/net-uplink';
import { UnusableInput } from './terminal.js';

const MICROSECONDS_PER_MS = 1000;
const startSeconds = Math.floor(performance.timeOrigin / 1000);
/** From that second until the platform's clock, which devices go by, began. */
const BEFORE_US = (performance.timeOrigin - startSeconds * 1000) * MICROSECONDS_PER_MS;

/** The clock of captures: the time of day, by the clock of devices. */
export const CAPTURE_TIME = {
  clock: (): number => performance.now() * MICROSECONDS_PER_MS + BEFORE_US,
  startSeconds,
  /** What the devices' clock shows, in ns, as a time of the capture. */
  ofNanoseconds: (ns: number): number => ns + BEFORE_US * 1000,
} as const;

/** @throws UnusableInput when there can be no such file */
export function openCapture(path: string): CaptureFile {
  try {
    return new CaptureFile(path);
  } catch (error) {
    throw new UnusableInput(`${path} cannot be written: ${(error as NodeJS.ErrnoException).code ?? error}`);
  }
}

/** A file that grows while ports are served. */
export interface GrowingFile {
  /** For people. */
  readonly name: string;
  /** Why nothing is written any more. */
  readonly problem: string | undefined;
  /** Show what was gathered. */
  flush(): void;
  close(): void;
}
