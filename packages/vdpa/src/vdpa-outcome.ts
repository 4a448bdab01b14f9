/**
 * What became of a request that comes from elsewhere: a guest, another process, a file. In brackets the errno that Linux has
 * for it. Nothing was changed unless it is OK.
 */
export const VDPA = {
  OK: 0,
  /** A value that cannot be: an index, size, address, status or feature (EINVAL). */
  INVALID: 1,
  /** Not now: the queue runs, the device is at work, or somebody else has it (EBUSY). */
  BUSY: 2,
  /** A byte of the range is mapped (EEXIST). */
  EXISTS: 3,
  /** There is no such device, driver or parent (ENODEV). */
  NONE: 4,
  /** The device cannot do it (EOPNOTSUPP). */
  UNSUPPORTED: 5,
  /** As many as there may be (ENOSPC). */
  NO_ROOM: 6,
  /** Not memory of whoever asks, or not with these rights (EFAULT). */
  NOT_MEMORY: 7,
  /** Who asks does not own the device, or owns it no more (EPERM). */
  NOT_OWNER: 8,
} as const;
/** One of {@link VDPA}. */
export type VdpaOutcome = (typeof VDPA)[keyof typeof VDPA];

/** The name of an outcome, such as `BUSY`. */
export const vdpaOutcomeName = (outcome: VdpaOutcome): string =>
  Object.keys(VDPA).find((name) => VDPA[name as keyof typeof VDPA] === outcome) ?? `outcome ${String(outcome)}`;
