/** Why a driver gave its device up, or could not take it into use. Values are stable: they index counters. */
export const BREAK = {
  NONE: 0,
  /** PCI: no usable capability of a type that is needed; MMIO: no modern device. */
  NOT_USABLE: 1,
  /** There is no device of the wanted type, or only a placeholder: nothing to complain about. */
  NO_DEVICE: 2,
  /** The status did not read 0 in the time given after a reset. */
  RESET_TIMEOUT: 3,
  /** VERSION_1 is not offered: a legacy device. */
  LEGACY: 4,
  /** FEATURES_OK did not stick. */
  FEATURES_REFUSED: 5,
  /** A queue that is needed does not exist, or has a size that is none. */
  NO_QUEUE: 6,
  /** A queue's address for notifications lies outside the notification structure. */
  NOTIFY_ADDRESS: 7,
  /** A queue did not read enabled, or its reset did not end. */
  QUEUE_TIMEOUT: 8,
  /** Configuration changed each time it was read, or is too short for what was offered. */
  CONFIG: 9,
  /** An id, index or length of a used buffer that no device gives: `DriverQueue.broken` says which. */
  RING: 10,
  /** Buffers to be transmitted were not used in the time given. */
  TRANSMIT_STALLED: 11,
  /** A control command was not answered in the time given. */
  CONTROL_UNANSWERED: 12,
  /** DEVICE_NEEDS_RESET. */
  NEEDS_RESET: 13,
  /** All tries to bring the device up again are spent. */
  NO_RECOVERY: 14,
  /** The device did not suspend or resume in the time given. */
  SUSPEND: 15,
  /** An administration command was not answered in the time given. */
  ADMIN_UNANSWERED: 16,
  /** The other function of the card did not answer in the mailbox in the time given. */
  MAILBOX_UNANSWERED: 17,
  /** Registers read all ones: the function is not there any more. */
  REMOVED: 18,
} as const;

/** A failure that the device is to blame for: what it was, for programs and for people. */
export interface Breakdown {
  /** A `BREAK` code. */
  readonly code: number;
  /** Names the register, queue or field, its value and what was wanted. */
  readonly message: string;
}

export const breakdown = (code: number, message: string): Breakdown => ({ code, message });

/** Tells a breakdown from what could be opened. */
export const isBreakdown = (outcome: object): outcome is Breakdown => 'code' in outcome && 'message' in outcome;

/** The name of a `BREAK` code, such as `RESET_TIMEOUT`. */
export const breakName = (code: number): string =>
  Object.keys(BREAK).find((name) => BREAK[name as keyof typeof BREAK] === code) ?? `BREAK ${code}`;
