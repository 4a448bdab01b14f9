/** A device cannot be served to the kernel, and what to do about it. */
export class VduseError extends Error {
  override readonly name = 'VduseError';
  /** What the kernel said, as `EBUSY`; empty where it is not the kernel that refuses. */
  readonly code: string;

  constructor(message: string, code = '') {
    super(message);
    this.code = code;
  }
}
