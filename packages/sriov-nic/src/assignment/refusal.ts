/** Why a function is not bound, or not given away. In brackets the errno that Linux has for it. */
export const REFUSED = {
  /** No such function is there (ENODEV). */
  NO_FUNCTION: 1,
  /** A port or bridge: nobody is given one (EINVAL). */
  BRIDGE: 2,
  /** Another driver has it: unbind it first (EBUSY). */
  BOUND: 3,
  /** Its driver is not the one that gives functions away, or it has none (ENODEV). */
  NOT_OURS: 4,
  /** A guest has it (EBUSY). */
  ASSIGNED: 5,
  /** A function that cannot be kept apart from it has a driver of the host's (EPERM: the group is not viable). */
  GROUP_SHARED: 6,
  /** A function that cannot be kept apart from it is another guest's (EBUSY). */
  GROUP_ELSEWHERE: 7,
  /** What cannot be kept apart from it changed while some of it is given away (EBUSY). */
  GROUP_CHANGED: 8,
  /** Its virtual functions are switched on (EBUSY). */
  HAS_VFS: 9,
  /** It cannot be reset on its own: the next guest would find it as the last one left it (EINVAL). */
  NO_RESET: 10,
  /** The guest's memory was not mapped for it: see `vfio` (ENOMEM, EFAULT). */
  NOT_MAPPED: 11,
} as const;
/** One of {@link REFUSED}. */
export type RefusedCode = (typeof REFUSED)[keyof typeof REFUSED];

/** A request that was not granted: who has what is as before. */
export interface Refusal {
  readonly code: RefusedCode;
  /** A sentence for people. */
  readonly message: string;
}

export const refused = (code: RefusedCode, message: string): Refusal => ({ code, message });

/** Tell a refusal from what was asked for. */
export const isRefusal = (outcome: object | undefined): outcome is Refusal =>
  outcome !== undefined && 'code' in outcome && 'message' in outcome;
