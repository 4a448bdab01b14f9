/**
 * What a device tells whoever traces it: its control plane (registers, status, queues coming and going) and its rings.
 * Given as `trace` when the device is made; without it, no call and no object costs anything.
 *
 * Called in the middle of the device's work: an implementation takes note and returns. It does not touch the device.
 */
export interface DeviceTrace {
  /**
   * The driver accessed a register of the transport.
   * @param name  as the specification spells it, with the offset behind it inside of a structure: `config+4`
   * @param bytes width of the access, @param value unsigned, as read or written
   */
  register(isWrite: boolean, name: string, bytes: number, value: number): void;
  /** The device's state changed. @param what a phrase for people: `status 0xf (…)`, `queue 1 enabled` */
  control(what: string): void;
  /** An available buffer notification came. @param isServed false when there is no queue that runs */
  kicked(queue: number, isServed: boolean): void;
  /** Chains were taken from a ring, at least one. */
  taken(queue: number, chains: number): void;
  /** The chain taken last was given back to the ring. */
  givenBack(queue: number): void;
  /** Used elements were written that the driver does not see yet. */
  put(queue: number, chains: number): void;
  /** They became visible. @param isOwed the driver is to be notified */
  published(queue: number, isOwed: boolean): void;
  /** A used buffer notification was handed to the transport. */
  notifiedUsed(queue: number): void;
  /** A configuration change notification was handed to the transport. */
  notifiedConfig(): void;
  /** The transport raised an MSI-X vector; masked ones stay pending. */
  message(vector: number): void;
  /** The level of the interrupt pin or line changed. */
  line(isAsserted: boolean): void;
}
