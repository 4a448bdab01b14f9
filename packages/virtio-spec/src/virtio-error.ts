/**
 * A mistake of our own caller, in configuration or construction: which field, its value, what was wanted and
 * which section says so. Bytes from a driver, a peer or a saved state are outcomes and counters, never this.
 */
export class VirtioError extends Error {
  override readonly name = 'VirtioError';
  readonly field: string;
  readonly value: number | bigint | string;

  /**
   * @param want completes "want …", such as `a power of two ≤ 32768`
   * @param spec the section with its version, such as `virtio 1.4 §2.7`
   */
  constructor(field: string, value: number | bigint | string, want: string, spec: string) {
    super(`${field} is ${value}, want ${want} (${spec})`);
    this.field = field;
    this.value = value;
  }
}
