/** The address that a device has where its backend lets it be chosen. */
export const STATION: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 1);
/** What is the same for all devices. */
export const NET = {
  holdWhenFull: true,
  /** Drivers are shown less, unless it is about long frames. */
  mtu: 9000,
  /** Small, so that rings go around often. */
  rxQueueSize: 64,
  txQueueSize: 64,
  controlQueueSize: 16,
} as const;
