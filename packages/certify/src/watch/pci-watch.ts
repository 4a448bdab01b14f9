import type { PciAccess } from '@ringwire/guest-drivers';
import { PCI_CAP_ID, PCI_HEADER, PCI_MSIX, PCI_MSIX_CONTROL } from '@ringwire/pci';
import { isVirtqSize, notifiedVqIndex, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  COMMON_CFG,
  type CommonCfgField,
  PCI_CAP_ID_VNDR,
  VIRTIO_MSI_NO_VECTOR,
  VIRTIO_PCI_CAP,
  VIRTIO_PCI_CFG_TYPE,
  VIRTIO_PCI_NOTIFY_CAP,
} from '@ringwire/virtio-spec/transport';
import type { DriverWatch } from './driver-watch.js';
import { QueueShadow } from './queue-shadow.js';

const CAPABILITIES_MAX = 48;
const CONFIG_CAUSE = 2;
const { COMMON_CFG: COMMON, NOTIFY_CFG, ISR_CFG, DEVICE_CFG, PCI_CFG } = VIRTIO_PCI_CFG_TYPE;
/** What is never written. */
const READ_ONLY: readonly CommonCfgField[] = [
  'num_queues',
  'device_feature',
  'queue_notif_config_data',
  'config_generation',
  'queue_notify_off',
];
const ADDRESSES = { queue_desc: 'desc', queue_driver: 'driver', queue_device: 'device' } as const;
const OF_QUEUE: readonly CommonCfgField[] = ['queue_size', 'queue_desc', 'queue_driver', 'queue_device'];

/** A structure in a BAR. */
interface Window {
  readonly type: number;
  readonly bar: number;
  readonly offset: number;
  readonly length: number;
}

/** A PCI function as its driver accesses it, watched. */
export class PciWatch implements PciAccess {
  /** The MSI-X vector of configuration changes; undefined while there is one line. */
  configVector: number | undefined = undefined;
  /** An interrupt of a queue is being handled. */
  private inQueueInterrupt = false;
  private readonly access: PciAccess;
  private readonly watch: DriverWatch;
  private readonly windows: Window[] = [];
  /** Of capabilities that nobody writes: where they begin, and their bytes. */
  private readonly fixed: (readonly [at: number, bytes: number])[] = [];
  private multiplier = 0;
  private msixAt = 0;
  private vectors = 0;
  private readonly shadow: QueueShadow;
  private featureSelect = 0;
  private driverSelect = 0;
  private readonly notifyOff: Map<number, number> = new Map();
  private readonly notifyNames: Map<number, number> = new Map();
  /** Mappings that were written and not read back. */
  private readonly unread: Set<string> = new Set();

  constructor(access: PciAccess, watch: DriverWatch) {
    this.access = access;
    this.watch = watch;
    this.shadow = new QueueShadow(watch);
    this.findWindows();
  }

  private get isMsix(): boolean {
    if (this.msixAt === 0) return false;
    return (this.access.configRead(this.msixAt + PCI_MSIX.MESSAGE_CONTROL, 2) & PCI_MSIX_CONTROL.ENABLE) !== 0;
  }

  /** An interrupt is handled, within the call. @param vector of it */
  handle(vector: number, handler: () => void): void {
    this.inQueueInterrupt = this.isMsix && vector !== this.configVector;
    handler();
    if (this.inQueueInterrupt) this.watch.verdict.keep('drv.pci.isr.1');
    this.inQueueInterrupt = false;
  }

  configRead(offset: number, size: number): number {
    this.watch.access();
    return this.access.configRead(offset, size);
  }

  configWrite(offset: number, size: number, value: number): void {
    this.watch.access();
    const hit = this.fixed.find(([at, bytes]) => offset < at + bytes && at < offset + size);
    if (hit !== undefined)
      this.watch.verdict.break('drv.pci.caps.8', `configuration space is written at ${offset}, in a virtio capability`);
    else this.watch.verdict.keep('drv.pci.caps.8');
    this.access.configWrite(offset, size, value);
  }

  barRead(bar: number, offset: number, size: number): number {
    this.watch.access();
    const window = this.windowAt(bar, offset);
    const at = offset - (window?.offset ?? 0);
    if (window?.type === COMMON) return this.readCommon(at, size, () => this.access.barRead(bar, offset, size));
    const value = this.access.barRead(bar, offset, size);
    if (window?.type === DEVICE_CFG) return this.watch.configRead(at, size, value);
    if (window?.type === ISR_CFG) return this.readIsr(value);
    return value;
  }

  barWrite(bar: number, offset: number, size: number, value: number): void {
    this.watch.access();
    const window = this.windowAt(bar, offset);
    const at = offset - (window?.offset ?? 0);
    if (window?.type === COMMON) this.writeCommon(at, size, value);
    else if (window?.type === DEVICE_CFG) this.watch.configWritten(at);
    else if (window?.type === NOTIFY_CFG) this.notify(at, size, value);
    this.access.barWrite(bar, offset, size, value);
  }

  private readIsr(value: number): number {
    const { twist, verdict } = this.watch;
    if (this.inQueueInterrupt)
      verdict.break('drv.pci.isr.1', 'ISR status is read for a queue interrupt while MSI-X is enabled');
    const shown = twist.configCause ? value | CONFIG_CAUSE : value;
    twist.configCause = false;
    return shown;
  }

  private readCommon(at: number, size: number, read: () => number): number {
    const field = this.judgeWidth(at, size);
    const { watch, shadow } = this;
    const value = read();
    switch (field) {
      case 'device_status':
        return watch.statusRead(value);
      case 'device_feature':
        return watch.offeredRead(this.featureSelect, value);
      case 'config_generation':
        return watch.generationRead(value);
      case 'queue_notify_off':
        this.notifyOff.set(shadow.selected, value);
        return value;
      case 'queue_notif_config_data':
        this.notifyNames.set(shadow.selected, value);
        return value;
      case 'config_msix_vector':
        this.unread.delete('config_msix_vector');
        this.configVector = value === VIRTIO_MSI_NO_VECTOR ? undefined : value;
        return value;
      case 'queue_reset':
        shadow.resetRead(value);
        return value;
      case 'queue_msix_vector':
        this.unread.delete(`queue_msix_vector of queue ${shadow.selected}`);
        return value;
      default:
        return value;
    }
  }

  private writeCommon(at: number, size: number, value: number): void {
    const field = this.judgeWidth(at, size);
    if (field === undefined) return;
    const { watch, shadow } = this;
    const { verdict } = watch;
    verdict.judge('drv.pci.common-cfg.1', !READ_ONLY.includes(field), `${field} is written, ${value}`);
    if (OF_QUEUE.includes(field)) {
      const isLate = shadow.isEnabled;
      verdict.judge(
        'drv.pci.common-cfg.4',
        !isLate,
        `${field} of queue ${shadow.selected} is written behind queue_enable`,
      );
    }
    switch (field) {
      case 'device_status':
        if (value === 0) shadow.clear();
        else this.judgeMappings();
        watch.statusWritten(value);
        break;
      case 'device_feature_select':
        this.featureSelect = value;
        break;
      case 'driver_feature_select':
        this.driverSelect = value;
        break;
      case 'driver_feature':
        watch.acceptedWritten(this.driverSelect, value);
        break;
      case 'queue_select':
        shadow.selected = value;
        break;
      case 'queue_size':
        this.writeSize(value);
        break;
      case 'queue_desc':
      case 'queue_driver':
      case 'queue_device':
        shadow.setHalf(ADDRESSES[field], at - COMMON_CFG[field].at, value);
        break;
      case 'config_msix_vector':
      case 'queue_msix_vector':
        this.writeVector(field, value);
        break;
      case 'queue_enable':
        verdict.judge('drv.pci.common-cfg.6', value !== 0, `0 is written to queue_enable of queue ${shadow.selected}`);
        if (value === 1) shadow.enable(() => this.common('queue_size'));
        break;
      case 'queue_reset':
        if (value === 1) shadow.reset();
        break;
      default:
        break;
    }
  }

  private writeSize(value: number): void {
    const { verdict } = this.watch;
    this.shadow.setSize(value);
    const message = `queue_size of queue ${this.shadow.selected} is written, ${value}`;
    if (this.watch.has(VIRTIO_F.RING_PACKED)) verdict.judge('drv.pci.common-cfg.2', value !== 0, message);
    else verdict.judge('drv.pci.common-cfg.3', isVirtqSize(value), message);
  }

  private writeVector(field: 'config_msix_vector' | 'queue_msix_vector', value: number): void {
    const { verdict } = this.watch;
    if (field === 'config_msix_vector') this.configVector = undefined;
    if (value === VIRTIO_MSI_NO_VECTOR) return;
    const isThere = value < this.vectors;
    verdict.judge(
      'drv.pci.msix.4',
      isThere,
      `${field} is written, ${value}, and the table has ${this.vectors} entries`,
    );
    this.unread.add(field === 'config_msix_vector' ? field : `${field} of queue ${this.shadow.selected}`);
    if (field === 'config_msix_vector') this.configVector = value;
  }

  /** The next step: mappings were read back by now. */
  private judgeMappings(): void {
    if (!this.isMsix) return;
    for (const mapping of this.unread) this.watch.verdict.break('drv.pci.msix.5', `${mapping} was not read back`);
    this.unread.clear();
    this.watch.verdict.keep('drv.pci.msix.5');
  }

  private notify(at: number, size: number, value: number): void {
    const { watch } = this;
    const { verdict } = watch;
    const hasData = watch.has(VIRTIO_F.NOTIFICATION_DATA);
    const hasName = watch.has(VIRTIO_F.NOTIF_CONFIG_DATA);
    const wanted = hasData ? 4 : 2;
    const width = hasData ? 'drv.pci.avail-notif.2' : 'drv.pci.avail-notif.1';
    verdict.judge(width, size === wanted, `a notification has ${size} bytes, want ${wanted}`);
    const named = hasData ? notifiedVqIndex(value) : value;
    const queue = this.notifiedQueue(at, named);
    const name = hasName ? this.notifyNames.get(queue) : queue;
    const id = hasData
      ? hasName
        ? 'drv.pci.avail-notif.6'
        : 'drv.pci.avail-notif.4'
      : hasName
        ? 'drv.pci.avail-notif.5'
        : 'drv.pci.avail-notif.3';
    verdict.judge(id, named === name, `queue ${queue} is notified as ${named}, want ${name}`);
    watch.notified(queue, hasData ? value : undefined);
  }

  /** The queue that an address is for; where several have one address, the value tells. */
  private notifiedQueue(at: number, named: number): number {
    const here = [...this.notifyOff].filter(([, off]) => off * this.multiplier === at).map(([queue]) => queue);
    if (here.length === 1) return here[0]!;
    return here.find((queue) => (this.notifyNames.get(queue) ?? queue) === named) ?? named;
  }

  private judgeWidth(at: number, size: number): CommonCfgField | undefined {
    const field = fieldAt(at);
    const bytes = field === undefined ? 0 : COMMON_CFG[field].bytes;
    const isHalf = bytes === 8 && size === 4;
    const message = `common configuration is accessed with ${size} bytes at ${at}, want whole fields`;
    this.watch.verdict.judge('drv.pci.layout.1', field !== undefined && (size === bytes || isHalf), message);
    return field;
  }

  private common(field: CommonCfgField): number {
    const { bar, offset } = this.windows.find(({ type }) => type === COMMON)!;
    return this.access.barRead(bar, offset + COMMON_CFG[field].at, COMMON_CFG[field].bytes);
  }

  private windowAt(bar: number, offset: number): Window | undefined {
    return this.windows.find((one) => one.bar === bar && offset >= one.offset && offset < one.offset + one.length);
  }

  private findWindows(): void {
    const { access } = this;
    let at = access.configRead(PCI_HEADER.CAPABILITIES_POINTER, 1) & 0xfc;
    for (let left = CAPABILITIES_MAX; left > 0 && at !== 0; left--) {
      const id = access.configRead(at, 1);
      if (id === PCI_CAP_ID_VNDR) this.takeWindow(at);
      if (id === PCI_CAP_ID.MSI_X) {
        this.msixAt = at;
        this.vectors = (access.configRead(at + PCI_MSIX.MESSAGE_CONTROL, 2) & PCI_MSIX_CONTROL.TABLE_SIZE) + 1;
      }
      at = access.configRead(at + 1, 1) & 0xfc;
    }
  }

  private takeWindow(at: number): void {
    const { access } = this;
    const type = access.configRead(at + VIRTIO_PCI_CAP.cfg_type, 1);
    if (type !== PCI_CFG) this.fixed.push([at, access.configRead(at + VIRTIO_PCI_CAP.cap_len, 1)]);
    if (this.windows.some((one) => one.type === type)) return;
    this.windows.push({
      type,
      bar: access.configRead(at + VIRTIO_PCI_CAP.bar, 1),
      offset: access.configRead(at + VIRTIO_PCI_CAP.offset, 4),
      length: access.configRead(at + VIRTIO_PCI_CAP.length, 4),
    });
    if (type === NOTIFY_CFG) this.multiplier = access.configRead(at + VIRTIO_PCI_NOTIFY_CAP.notify_off_multiplier, 4);
  }
}

/** The field that an access begins in; the second half of a 64-bit one too. */
function fieldAt(at: number): CommonCfgField | undefined {
  const found = Object.entries(COMMON_CFG).find(
    ([, { at: first, bytes }]) => at === first || (bytes === 8 && at === first + 4),
  );
  return found?.[0] as CommonCfgField | undefined;
}
