/** How long a driver waits for a register to change: its own bound, whatever the device does. */
export interface Patience {
  /** Reads of the register at most, 1 or more. */
  readonly tries: number;
  /** Called between two reads: a sleep, or the turn of a device that runs in the same thread. */
  readonly pause?: () => void;
}

export const PATIENCE: Patience = { tries: 1000 };

/** @returns whether `done` became true within the tries */
export function waitFor(done: () => boolean, { tries, pause }: Patience): boolean {
  for (let left = tries; left > 0; left--) {
    if (done()) return true;
    pause?.();
  }
  return false;
}
