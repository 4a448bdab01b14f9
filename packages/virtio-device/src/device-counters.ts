/** What a device counted since it was made, by reason; a reset leaves it alone. */
export interface DeviceCounters {
  /** Available buffer notifications that reached a running queue. */
  kicks: number;
  /** … and those that did not: no such queue, not enabled, or the device does not run. */
  kicksIgnored: number;
  /** Used buffer and configuration change notifications handed to the transport. */
  usedNotifications: number;
  configNotifications: number;
  resets: number;
  queueResets: number;
  /** DEVICE_NEEDS_RESET was set. */
  needsReset: number;
  /** FEATURES_OK was refused. */
  featuresRefused: number;
  /** A queue was to be enabled, and cannot run as it is. */
  enableRefused: number;
  /** Status bits out of order, unknown, the device's own, or to be taken back. */
  statusIgnored: number;
  /** Driver features written after FEATURES_OK, or beyond bit 127. */
  featureWritesIgnored: number;
  /** Registers of a queue that is enabled, that there is not, or whose device is suspended; values that do not exist. */
  queueWritesIgnored: number;
  /** Writes past the end of the configuration, or to that of a suspended device. */
  configWritesIgnored: number;
}

/** All zero. */
export function newDeviceCounters(): DeviceCounters {
  return {
    kicks: 0,
    kicksIgnored: 0,
    usedNotifications: 0,
    configNotifications: 0,
    resets: 0,
    queueResets: 0,
    needsReset: 0,
    featuresRefused: 0,
    enableRefused: 0,
    statusIgnored: 0,
    featureWritesIgnored: 0,
    queueWritesIgnored: 0,
    configWritesIgnored: 0,
  };
}
