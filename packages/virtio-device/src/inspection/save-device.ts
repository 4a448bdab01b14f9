import { SpaceReader } from '../space-reader.js';
import type { VirtioDevice } from '../virtio-device.js';
import { explainSnapshot, inspectQueue } from './explain-snapshot.js';
import { sentence } from './reason.js';
import { PAGE_BYTES, RecordingReader, type SavedPage } from './recording-reader.js';
import { snapshotDevice } from './snapshot-device.js';
import type { DeviceSnapshot } from './snapshot-types.js';

/** A device's state, and the pages that its rings lie in by the addresses that the device knows them by. */
export interface SavedDevice {
  readonly snapshot: DeviceSnapshot;
  readonly pages: readonly SavedPage[];
  /** Why nothing moves, as `explainDevice` says it of the same moment. */
  readonly reasons: readonly string[];
}

/**
 * Keep a device for inspection: its state, its rings' memory, indirect tables of what is pending, and which addresses in
 * them lead nowhere. To be called in the device's thread, between two steps: it is one moment of the device then, while a
 * driver in another thread goes on. Guest memory is not written. Behind an IOMMU, looking at an address that is not mapped
 * is recorded as a fault.
 * @param snapshot of this moment, where other threads have a part in it
 */
export function saveDevice(device: VirtioDevice, snapshot: DeviceSnapshot = snapshotDevice(device)): SavedDevice {
  const { space } = device;
  const reader = new RecordingReader(new SpaceReader(space));
  space.enter();
  try {
    // Enabled rings of a device that does not look at them, too.
    for (const queue of snapshot.queues) inspectQueue(snapshot, queue, reader);
    const reasons = explainSnapshot(snapshot, reader).map(sentence);
    return { snapshot: { ...snapshot, unreachable: reader.unreachable.map(hex) }, pages: reader.pages, reasons };
  } finally {
    space.leave();
  }
}

/** Content of the files of a saved device, by name: what `ringwire explain` reads from one folder. */
export interface SnapshotFiles {
  readonly 'device.json': string;
  /** Where each page is in `pages.bin`, as `ringwire check` takes it. */
  readonly 'pages.json': string;
  readonly 'pages.bin': Uint8Array;
}

/** {@link saveDevice} as files. */
export const snapshotFiles = (device: VirtioDevice): SnapshotFiles => filesOf(saveDevice(device));

/** A saved device as files. */
export function filesOf({ snapshot, pages }: SavedDevice): SnapshotFiles {
  const bin = new Uint8Array(pages.length * PAGE_BYTES);
  const index = pages.map(({ address, bytes }, i) => {
    bin.set(bytes, i * PAGE_BYTES);
    return { gpa: hex(address), offset: i * PAGE_BYTES };
  });
  return {
    'device.json': `${JSON.stringify(snapshot, null, 2)}\n`,
    'pages.json': `${JSON.stringify({ page_size: PAGE_BYTES, pages: index }, null, 1)}\n`,
    'pages.bin': bin,
  };
}

const hex = (address: bigint): string => `0x${address.toString(16)}`;
