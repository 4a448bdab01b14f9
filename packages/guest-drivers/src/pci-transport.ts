import { PCI_COMMAND, PCI_HEADER } from '@ringwire/pci';
import { hasFeature, VIRTIO_F, VIRTIO_ID, VIRTIO_PCI_ID, VIRTIO_PCI_TRANSITIONAL_ID } from '@ringwire/virtio-spec';
import { COMMON_CFG, type CommonCfgField, VIRTIO_MSI_NO_VECTOR } from '@ringwire/virtio-spec/transport';
import type { PciAccess } from './access.js';
import { BREAK, type Breakdown, breakdown } from './breakdown.js';
import { findCapabilities, type PciMsix, type PciWindow } from './pci-capabilities.js';
import { disableMsix, enableMsix } from './pci-msix.js';
import type { MsixMessage, QueueSetup, Transport, VectorPlan } from './transport.js';

const QUEUES_MAX = 0x1_0000;

/** The structures of a function that a driver can use. */
interface PciParts {
  readonly common: PciWindow;
  readonly notify: PciWindow;
  readonly notifyOffMultiplier: number;
  readonly isr: PciWindow;
  readonly device: PciWindow | undefined;
  readonly msix: PciMsix | undefined;
}

/**
 * Find out whether a PCI function is a modern virtio device, and switch its memory and bus mastering on. Its Revision ID
 * and subsystem ids don't matter (virtio 1.4 §4.1.2.2).
 * @returns the transport, NO_DEVICE for a function that is none, or NOT_USABLE for one whose capabilities do not do
 */
export function openPciTransport(access: PciAccess): PciTransport | Breakdown {
  const vendor = access.configRead(PCI_HEADER.VENDOR_ID, 2);
  const id = access.configRead(PCI_HEADER.DEVICE_ID, 2);
  const deviceId = vendor === VIRTIO_PCI_ID.VENDOR ? virtioIdOf(id) : 0;
  if (deviceId === 0) {
    return breakdown(BREAK.NO_DEVICE, `PCI id ${hex(vendor)}:${hex(id)} is no virtio device (virtio 1.4 §4.1.2)`);
  }
  const { common, notify, notifyOffMultiplier, isr, device, msix } = findCapabilities(access);
  if (common === undefined || notify === undefined || isr === undefined) {
    const missing = common === undefined ? 'COMMON_CFG' : notify === undefined ? 'NOTIFY_CFG' : 'ISR_CFG';
    return breakdown(BREAK.NOT_USABLE, `no capability ${missing} that can be used (virtio 1.4 §4.1.4)`);
  }
  const command = access.configRead(PCI_HEADER.COMMAND, 2);
  const { IO_SPACE_ENABLE, MEMORY_SPACE_ENABLE, BUS_MASTER_ENABLE } = PCI_COMMAND;
  access.configWrite(PCI_HEADER.COMMAND, 2, command | IO_SPACE_ENABLE | MEMORY_SPACE_ENABLE | BUS_MASTER_ENABLE);
  return new PciTransport(access, deviceId, { common, notify, notifyOffMultiplier, isr, device, msix });
}

/** Driver side of virtio-pci, modern devices only. @see virtio 1.4 §4.1 */
export class PciTransport implements Transport {
  readonly name = 'pci';
  readonly deviceId: number;
  readonly queueLimit: number;
  readonly configBytes: number;
  readonly unusable: readonly number[];
  readonly vectorLimit: number;
  private readonly access: PciAccess;
  private readonly parts: PciParts;
  // Per queue: the offset in the notification BAR, and what a notification names the queue by.
  private readonly notifyAt: number[] = [];
  private readonly notifyNames: number[] = [];
  private notifyBytes = 2;
  /** Per queue, while vectors are mapped, and queues whose reset took theirs away. */
  private vectors: number[] = [];
  private readonly lost: Set<number> = new Set();

  constructor(access: PciAccess, deviceId: number, parts: PciParts) {
    this.access = access;
    this.deviceId = deviceId;
    this.parts = parts;
    this.queueLimit = this.get('num_queues');
    this.configBytes = parts.device?.length ?? 0;
    this.vectorLimit = parts.msix?.vectors ?? 0;
    const lacks = (field: CommonCfgField): boolean =>
      parts.common.length < COMMON_CFG[field].at + COMMON_CFG[field].bytes;
    const unusable: number[] = [];
    if (lacks('queue_notif_config_data')) unusable.push(VIRTIO_F.NOTIF_CONFIG_DATA);
    if (lacks('queue_reset')) unusable.push(VIRTIO_F.RING_RESET);
    if (lacks('admin_queue_num')) unusable.push(VIRTIO_F.ADMIN_VQ);
    this.unusable = unusable;
  }

  status(): number {
    return this.get('device_status');
  }

  setStatus(value: number): void {
    this.set('device_status', value);
  }

  deviceFeatures(word: number): number {
    this.set('device_feature_select', word);
    return this.get('device_feature');
  }

  setDriverFeatures(word: number, bits: number): void {
    this.set('driver_feature_select', word);
    this.set('driver_feature', bits);
  }

  configGeneration(): number {
    return this.get('config_generation');
  }

  readConfig(at: number, bytes: 1 | 2 | 4): number {
    const { bar, offset } = this.parts.device!;
    return this.access.barRead(bar, offset + at, bytes);
  }

  adminQueues(): { first: number; count: number } {
    if (this.unusable.includes(VIRTIO_F.ADMIN_VQ)) return { first: 0, count: 0 };
    const first = this.get('admin_queue_index');
    const count = this.get('admin_queue_num');
    return first >= this.queueLimit && count <= QUEUES_MAX - first ? { first, count } : { first: 0, count: 0 };
  }

  queueSizeMax(index: number): number {
    if (index >= this.queueLimit && !this.isAdminQueue(index)) return 0;
    this.set('queue_select', index);
    return this.get('queue_size');
  }

  enableQueue(index: number, setup: QueueSetup, features: Uint32Array): Breakdown | undefined {
    this.set('queue_select', index);
    const problem = this.placeNotification(index, features);
    if (problem !== undefined) return problem;
    this.set('queue_size', setup.size);
    this.setLong('queue_desc', setup.desc);
    this.setLong('queue_driver', setup.driver);
    this.setLong('queue_device', setup.device);
    const vector = this.vectors[index];
    if (this.lost.delete(index) && vector !== undefined) this.set('queue_msix_vector', vector);
    this.set('queue_enable', 1);
    return undefined;
  }

  queueEnabled(index: number): boolean {
    this.set('queue_select', index);
    return this.get('queue_enable') === 1;
  }

  resetQueue(index: number): void {
    this.set('queue_select', index);
    this.set('queue_reset', 1);
    this.lost.add(index);
  }

  queueResetDone(index: number): boolean {
    this.set('queue_select', index);
    return this.get('queue_reset') === 0 && this.get('queue_enable') === 0;
  }

  /** Nothing: 0 is never written to queue_enable (virtio 1.4 §4.1.4.3.2). */
  stopQueue(_index: number): void {}

  notify(index: number, data: number): void {
    const value = this.notifyBytes === 4 ? data : this.notifyNames[index]!;
    this.access.barWrite(this.parts.notify.bar, this.notifyAt[index]!, this.notifyBytes, value);
  }

  notifyIndex(index: number): number {
    return this.notifyNames[index]!;
  }

  mapVectors(plan: VectorPlan, messages: readonly MsixMessage[]): boolean {
    enableMsix(this.access, this.parts.msix!, messages);
    this.set('config_msix_vector', plan.config);
    let mapped = this.get('config_msix_vector') === plan.config;
    for (const { index, vector } of plan.queues) {
      if (!mapped) break;
      this.set('queue_select', index);
      this.set('queue_msix_vector', vector);
      mapped = this.get('queue_msix_vector') === vector;
      this.vectors[index] = vector;
    }
    return mapped;
  }

  unmapVectors(): void {
    this.vectors = [];
    if (this.parts.msix === undefined) return;
    this.set('config_msix_vector', VIRTIO_MSI_NO_VECTOR);
    disableMsix(this.access, this.parts.msix);
  }

  interruptCause(): number {
    // Reading acknowledges; the bits are those of CAUSE (virtio 1.4 §4.1.4.5).
    return this.access.barRead(this.parts.isr.bar, this.parts.isr.offset, 1) & 3;
  }

  /** Work out where the selected queue's notifications go. @see virtio 1.4 §4.1.4.4, §4.1.5.2 */
  private placeNotification(index: number, features: Uint32Array): Breakdown | undefined {
    const { notify, notifyOffMultiplier } = this.parts;
    this.notifyBytes = hasFeature(features, VIRTIO_F.NOTIFICATION_DATA) ? 4 : 2;
    this.notifyNames[index] = hasFeature(features, VIRTIO_F.NOTIF_CONFIG_DATA)
      ? this.get('queue_notif_config_data')
      : index;
    const within = this.get('queue_notify_off') * notifyOffMultiplier;
    const at = notify.offset + within;
    this.notifyAt[index] = at;
    if (within + this.notifyBytes <= notify.length && at % this.notifyBytes === 0) return undefined;
    const want = `${this.notifyBytes} aligned bytes below ${notify.length}`;
    return breakdown(
      BREAK.NOTIFY_ADDRESS,
      `queue ${index} is to be notified at ${within}, want ${want} (virtio 1.4 §4.1.4.4)`,
    );
  }

  private isAdminQueue(index: number): boolean {
    const { first, count } = this.adminQueues();
    return index >= first && index < first + count;
  }

  private get(field: CommonCfgField): number {
    const { bar, offset } = this.parts.common;
    return this.access.barRead(bar, offset + COMMON_CFG[field].at, COMMON_CFG[field].bytes);
  }

  private set(field: CommonCfgField, value: number): void {
    const { bar, offset } = this.parts.common;
    this.access.barWrite(bar, offset + COMMON_CFG[field].at, COMMON_CFG[field].bytes, value);
  }

  /** 64-bit fields are two 32-bit accesses (virtio 1.4 §4.1.3.1). */
  private setLong(field: CommonCfgField, value: number): void {
    const { bar, offset } = this.parts.common;
    this.access.barWrite(bar, offset + COMMON_CFG[field].at, 4, value >>> 0);
    this.access.barWrite(bar, offset + COMMON_CFG[field].at + 4, 4, Math.floor(value / 2 ** 32));
  }
}

/** A modern PCI Device ID says its type; the transitional ones are a table. @returns 0 for an id that is neither */
function virtioIdOf(id: number): number {
  if (id > VIRTIO_PCI_ID.DEVICE_ID_BASE && id <= VIRTIO_PCI_ID.DEVICE_ID_LAST) return id - VIRTIO_PCI_ID.DEVICE_ID_BASE;
  for (const [name, transitional] of Object.entries(VIRTIO_PCI_TRANSITIONAL_ID)) {
    if (transitional === id) return VIRTIO_ID[name as keyof typeof VIRTIO_PCI_TRANSITIONAL_ID];
  }
  return 0;
}

const hex = (id: number): string => id.toString(16).padStart(4, '0');
