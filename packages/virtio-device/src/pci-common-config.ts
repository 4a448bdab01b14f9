import type { BarRegion } from '@ringwire/pci';
import { DEVICE_STATUS, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  COMMON_CFG,
  COMMON_CFG_SIZE,
  type CommonCfgField,
  VIRTIO_MSI_NO_VECTOR,
} from '@ringwire/virtio-spec/transport';
import { QUEUE_AREA } from './queue-slot.js';
import type { VirtioDevice } from './virtio-device.js';

/** A field, or half of a 64-bit one: what is read and written as a whole. */
interface Cell {
  readonly field: CommonCfgField;
  readonly at: number;
  readonly bytes: number;
  readonly high: boolean;
  readonly writable: boolean;
}

const CELLS: readonly Cell[] = Object.entries(COMMON_CFG).flatMap(([name, { at, bytes, access }]): Cell[] => {
  const cell = { field: name as CommonCfgField, at, high: false, writable: access === 'rw' };
  if (bytes < 8) return [{ ...cell, bytes }];
  return [
    { ...cell, bytes: 4 },
    { ...cell, at: at + 4, bytes: 4, high: true },
  ];
});

/** A suspended device takes these writes alone. */
const WHILE_SUSPENDED: ReadonlySet<CommonCfgField> = new Set([
  'device_feature_select',
  'driver_feature_select',
  'device_status',
  'queue_select',
]);

export interface CommonConfigOptions {
  /** Vectors of the MSI-X table; 0 for none. */
  readonly vectors: number;
  /** queue_notif_config_data of a queue, 16 bits. */
  readonly notifConfigData: (queue: number) => number;
}

/**
 * The common configuration structure. A write that covers a part of a field changes that part, and one over several
 * fields changes each, from the lowest on: so registers that arrive byte by byte come together. @see virtio 1.4 §4.1.4.3
 */
export class PciCommonConfig {
  /** Writes to read-only fields, and values that a field does not have. */
  refusedWrites = 0;
  private readonly device: VirtioDevice;
  private readonly options: CommonConfigOptions;
  // Selectors as written, and vectors as written, be they none.
  private deviceFeatureSelect = 0;
  private driverFeatureSelect = 0;
  private queueSelect = 0;
  private configVectorWritten: number = VIRTIO_MSI_NO_VECTOR;
  private readonly queueVectorsWritten: Uint16Array;

  constructor(device: VirtioDevice, options: CommonConfigOptions) {
    this.device = device;
    this.options = options;
    this.queueVectorsWritten = new Uint16Array(device.queues.length).fill(VIRTIO_MSI_NO_VECTOR);
  }

  /** The whole structure, accessed as a driver does. */
  get registers(): BarRegion {
    return this.region(0);
  }

  /** queue_notif_config_data, whether negotiated or not. */
  notifyData(queue: number): number {
    return this.options.notifConfigData(queue);
  }

  /** Vector for configuration changes, or NO_VECTOR. */
  get configVector(): number {
    return this.vector(this.configVectorWritten);
  }

  /** Vector for used buffers of a queue, or NO_VECTOR. */
  queueVector(queue: number): number {
    return this.vector(this.queueVectorsWritten[queue] ?? VIRTIO_MSI_NO_VECTOR);
  }

  reset(): void {
    this.deviceFeatureSelect = 0;
    this.driverFeatureSelect = 0;
    this.queueSelect = 0;
    this.configVectorWritten = VIRTIO_MSI_NO_VECTOR;
    this.queueVectorsWritten.fill(VIRTIO_MSI_NO_VECTOR);
  }

  resetQueue(queue: number): void {
    this.queueVectorsWritten[queue] = VIRTIO_MSI_NO_VECTOR;
  }

  region(offset: number): BarRegion {
    return {
      offset,
      size: COMMON_CFG_SIZE,
      read: (at, size) => this.read(at, size),
      write: (at, size, value) => this.write(at, size, value),
    };
  }

  private read(at: number, size: number): number {
    let value = 0;
    for (const cell of CELLS) {
      const shift = (cell.at - at) * 8;
      if (cell.at >= at + size || cell.at + cell.bytes <= at) continue;
      const part = this.readCell(cell);
      // A field of 4 bytes may begin before the access; one of fewer bytes begins in it or is read alone.
      value |= shift >= 0 ? part << shift : part >>> -shift;
    }
    return size === 4 ? value >>> 0 : value & (2 ** (size * 8) - 1);
  }

  private write(at: number, size: number, value: number): void {
    for (const cell of CELLS) {
      if (cell.at >= at + size || cell.at + cell.bytes <= at) continue;
      if (!cell.writable) {
        this.refusedWrites++;
        continue;
      }
      let merged = this.rawCell(cell);
      for (let byte = 0; byte < size; byte++) {
        const shift = (at + byte - cell.at) * 8;
        if (shift < 0 || shift >= cell.bytes * 8) continue;
        merged = (merged & ~(0xff << shift)) | (((value >>> (byte * 8)) & 0xff) << shift);
      }
      this.writeCell(cell, merged >>> 0);
    }
  }

  private readCell(cell: Cell): number {
    const { device } = this;
    const slot = device.queueAt(this.queueSelect);
    switch (cell.field) {
      case 'device_feature':
        return device.deviceFeatures(this.deviceFeatureSelect);
      case 'config_msix_vector':
        return this.configVector;
      case 'num_queues':
        return device.numQueues;
      case 'config_generation':
        return device.config.generation & 0xff;
      case 'queue_size':
        return slot?.size ?? 0;
      case 'queue_msix_vector':
        return this.queueVector(this.queueSelect);
      case 'queue_notify_off':
        return slot?.index ?? 0;
      case 'queue_notif_config_data':
        return slot !== undefined && device.negotiated(VIRTIO_F.NOTIF_CONFIG_DATA)
          ? this.options.notifConfigData(slot.index)
          : 0;
      case 'admin_queue_index':
        return device.negotiated(VIRTIO_F.ADMIN_VQ) ? device.numQueues : 0;
      case 'admin_queue_num':
        return device.negotiated(VIRTIO_F.ADMIN_VQ) ? device.queues.length - device.numQueues : 0;
      default:
        return this.rawCell(cell);
    }
  }

  /** What a field was last written with, where that may differ from what it shows. */
  private rawCell(cell: Cell): number {
    const { device } = this;
    const slot = device.queueAt(this.queueSelect);
    switch (cell.field) {
      case 'device_feature_select':
        return this.deviceFeatureSelect;
      case 'driver_feature_select':
        return this.driverFeatureSelect;
      case 'driver_feature':
        return device.driverFeatures(this.driverFeatureSelect);
      case 'config_msix_vector':
        return this.configVectorWritten;
      case 'device_status':
        return device.status;
      case 'queue_select':
        return this.queueSelect;
      case 'queue_size':
        return slot?.rawSize ?? 0;
      case 'queue_msix_vector':
        return this.queueVectorsWritten[this.queueSelect] ?? VIRTIO_MSI_NO_VECTOR;
      case 'queue_enable':
        return slot?.enabled === true ? 1 : 0;
      case 'queue_reset':
        return device.isQueueResetting(this.queueSelect) ? 1 : 0;
      case 'queue_desc':
      case 'queue_driver':
      case 'queue_device':
        return slot?.readAddress(areaOf(cell.field), cell.high) ?? 0;
      default:
        return 0;
    }
  }

  private writeCell(cell: Cell, value: number): void {
    const { device, queueSelect } = this;
    if ((device.status & DEVICE_STATUS.SUSPEND) !== 0 && !WHILE_SUSPENDED.has(cell.field)) {
      this.refusedWrites++;
      return;
    }
    switch (cell.field) {
      case 'device_feature_select':
        this.deviceFeatureSelect = value;
        return;
      case 'driver_feature_select':
        this.driverFeatureSelect = value;
        return;
      case 'driver_feature':
        device.acceptFeatures(this.driverFeatureSelect, value);
        return;
      case 'config_msix_vector':
        this.configVectorWritten = value;
        return;
      case 'device_status':
        device.writeStatus(value);
        return;
      case 'queue_select':
        this.queueSelect = value;
        return;
      case 'queue_size':
        device.writableQueue(queueSelect)?.writeSize(value, device.negotiated(VIRTIO_F.RING_PACKED));
        return;
      case 'queue_msix_vector':
        // Not frozen with the queue: a driver may map its interrupts when the rest is running.
        if (queueSelect < this.queueVectorsWritten.length) this.queueVectorsWritten[queueSelect] = value;
        return;
      case 'queue_enable':
        if (value === 1) device.enableQueue(queueSelect);
        else this.refusedWrites++;
        return;
      case 'queue_desc':
      case 'queue_driver':
      case 'queue_device':
        device.writableQueue(queueSelect)?.writeAddress(areaOf(cell.field), cell.high, value);
        return;
      case 'queue_reset':
        if (value === 1) device.resetQueue(queueSelect);
        else this.refusedWrites++;
        return;
      default:
        this.refusedWrites++;
    }
  }

  /** A vector that the table does not have reads back as none. @see virtio 1.4 §4.1.5.1.2.1 */
  private vector(written: number): number {
    return written < this.options.vectors ? written : VIRTIO_MSI_NO_VECTOR;
  }
}

const areaOf = (field: 'queue_desc' | 'queue_driver' | 'queue_device'): number =>
  field === 'queue_desc' ? QUEUE_AREA.desc : field === 'queue_driver' ? QUEUE_AREA.driver : QUEUE_AREA.device;
