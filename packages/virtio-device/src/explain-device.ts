import { explainSnapshot } from './inspection/explain-snapshot.js';
import { sentence } from './inspection/reason.js';
import { snapshotDevice } from './inspection/snapshot-device.js';
import { SpaceReader } from './space-reader.js';
import type { VirtioDevice } from './virtio-device.js';

/**
 * Why nothing moves, in sentences, the most telling first: status, features, bus mastering, and for each queue what its
 * ring says. Reads guest memory and changes nothing there; behind an IOMMU, looking at an address that is not mapped is
 * recorded as a fault, as the device's own access would be.
 */
export function explainDevice(device: VirtioDevice): string[] {
  const { space } = device;
  const snapshot = snapshotDevice(device);
  space.enter();
  try {
    return explainSnapshot(snapshot, new SpaceReader(space)).map(sentence);
  } finally {
    space.leave();
  }
}
