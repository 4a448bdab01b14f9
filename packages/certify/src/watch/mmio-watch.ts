import type { MmioAccess } from '@ringwire/guest-drivers';
import { notifiedVqIndex, VIRTIO_F } from '@ringwire/virtio-spec';
import { MMIO_CONFIG_AT, MMIO_INTERRUPT, MMIO_REGISTERS, type MmioRegister } from '@ringwire/virtio-spec/transport';
import type { DriverWatch } from './driver-watch.js';
import { QueueShadow } from './queue-shadow.js';

const EVENTS = MMIO_INTERRUPT.USED_BUFFER | MMIO_INTERRUPT.CONFIGURATION_CHANGE;
/** Which half of which address a register is. */
const HALVES: Partial<Record<MmioRegister, readonly ['desc' | 'driver' | 'device', number]>> = {
  QueueDescLow: ['desc', 0],
  QueueDescHigh: ['desc', 4],
  QueueDriverLow: ['driver', 0],
  QueueDriverHigh: ['driver', 4],
  QueueDeviceLow: ['device', 0],
  QueueDeviceHigh: ['device', 4],
};
const FROZEN: readonly MmioRegister[] = ['QueueSize', 'QueueSizeMax', ...(Object.keys(HALVES) as MmioRegister[])];
const SHARED: readonly MmioRegister[] = ['SHMSel', 'SHMLenLow', 'SHMLenHigh', 'SHMBaseLow', 'SHMBaseHigh'];

/** The registers of virtio-mmio as their driver accesses them, watched. */
export class MmioWatch implements MmioAccess {
  private readonly access: MmioAccess;
  private readonly watch: DriverWatch;
  private readonly shadow: QueueShadow;
  private readonly seen: Set<MmioRegister> = new Set();
  private featureSelect: number | undefined = undefined;
  private driverSelect: number | undefined = undefined;
  private sizeMax = 0;
  /** Queues that were stopped, and not read back yet. */
  private stopped: number | undefined = undefined;
  /** What InterruptStatus showed last. */
  private cause = 0;

  constructor(access: MmioAccess, watch: DriverWatch) {
    this.access = access;
    this.watch = watch;
    this.shadow = new QueueShadow(watch);
  }

  read(offset: number, bytes: number): number {
    this.watch.access();
    const value = (): number => this.access.read(offset, bytes);
    if (offset >= MMIO_CONFIG_AT) return this.watch.configRead(offset - MMIO_CONFIG_AT, bytes, value());
    const register = this.registerAt(offset, bytes);
    if (register === undefined) return value();
    const { verdict } = this.watch;
    const isReadable = MMIO_REGISTERS[register].access !== 'wo';
    verdict.judge('drv.mmio.registers.3', isReadable, `${register}, write-only, is read`);
    this.judgeFrozen(register);
    return this.shown(register, value());
  }

  write(offset: number, bytes: number, value: number): void {
    this.watch.access();
    if (offset >= MMIO_CONFIG_AT) this.watch.configWritten(offset - MMIO_CONFIG_AT);
    else {
      const register = this.registerAt(offset, bytes);
      if (register !== undefined) this.take(register, value >>> 0);
    }
    this.access.write(offset, bytes, value);
  }

  private shown(register: MmioRegister, value: number): number {
    const { watch, shadow } = this;
    switch (register) {
      case 'Status':
        return watch.statusRead(value);
      case 'DeviceFeatures':
        watch.verdict.judge(
          'drv.mmio.registers.12',
          this.featureSelect !== undefined,
          'DeviceFeatures is read before DeviceFeaturesSel is written',
        );
        return watch.offeredRead(this.featureSelect ?? 0, value);
      case 'ConfigGeneration':
        return watch.generationRead(value);
      case 'QueueSizeMax':
        this.sizeMax = value;
        return value;
      case 'QueueReady':
        if (this.stopped === shadow.selected) this.stopped = undefined;
        return value;
      case 'QueueReset':
        shadow.resetRead(value);
        return value;
      case 'InterruptStatus':
        this.cause = watch.twist.configCause ? value | MMIO_INTERRUPT.CONFIGURATION_CHANGE : value;
        watch.verdict.keep('drv.mmio.notifications.1');
        return this.cause;
      default:
        return value;
    }
  }

  private take(register: MmioRegister, value: number): void {
    const { watch, shadow } = this;
    const { verdict } = watch;
    const isWritable = MMIO_REGISTERS[register].access !== 'ro';
    verdict.judge('drv.mmio.registers.2', isWritable, `${register}, read-only, is written, ${value}`);
    this.judgeFrozen(register);
    const half = HALVES[register];
    if (half !== undefined) shadow.setHalf(...half, value);
    switch (register) {
      case 'Status':
        if (value === 0) shadow.clear();
        watch.statusWritten(value);
        break;
      case 'DeviceFeaturesSel':
        this.featureSelect = value;
        break;
      case 'DriverFeaturesSel':
        this.driverSelect = value;
        break;
      case 'DriverFeatures':
        verdict.judge(
          'drv.mmio.registers.13',
          this.driverSelect !== undefined,
          'DriverFeatures is written before DriverFeaturesSel',
        );
        watch.acceptedWritten(this.driverSelect ?? 0, value);
        break;
      case 'QueueSel':
        shadow.selected = value;
        break;
      case 'QueueSize': {
        const most = this.access.read(MMIO_REGISTERS.QueueSizeMax.at, 4);
        verdict.judge(
          'drv.mmio.registers.14',
          value <= most,
          `QueueSize of queue ${shadow.selected} is written, ${value}, above QueueSizeMax ${most}`,
        );
        shadow.setSize(value);
        break;
      }
      case 'QueueReady':
        this.takeReady(value);
        break;
      case 'QueueReset':
        if (value === 1) shadow.reset();
        break;
      case 'QueueNotify':
        this.notify(value);
        break;
      case 'InterruptACK':
        this.acknowledge(value);
        break;
      default:
        break;
    }
  }

  private takeReady(value: number): void {
    const { shadow, watch } = this;
    if (value !== 0) {
      shadow.enable(() => this.sizeMax);
      return;
    }
    watch.verdict.keep('drv.mmio.registers.16');
    this.stopped = shadow.selected;
    shadow.disable();
  }

  private notify(value: number): void {
    const hasData = this.watch.has(VIRTIO_F.NOTIFICATION_DATA);
    this.watch.notified(hasData ? notifiedVqIndex(value) : value, hasData ? value : undefined);
  }

  private acknowledge(value: number): void {
    const { verdict, twist } = this.watch;
    verdict.judge('drv.mmio.registers.20', (value & ~EVENTS) === 0, `InterruptACK is written, ${value}`);
    verdict.judge(
      'drv.mmio.notifications.3',
      (value & ~this.cause) === 0,
      `InterruptACK is written, ${value}, and InterruptStatus was ${this.cause}`,
    );
    verdict.keep('drv.mmio.registers.19');
    if ((value & MMIO_INTERRUPT.CONFIGURATION_CHANGE) !== 0) twist.configCause = false;
  }

  /** An interrupt was handled. @param isUp the line is still asserted */
  handled(isUp: boolean): void {
    const { verdict } = this.watch;
    const message = `an interrupt was handled, and InterruptStatus ${this.cause} not acknowledged`;
    verdict.judge('drv.mmio.registers.19', !isUp, message);
  }

  private judgeFrozen(register: MmioRegister): void {
    if (!FROZEN.includes(register)) return;
    const { shadow, watch } = this;
    watch.verdict.judge(
      'drv.mmio.registers.15',
      !shadow.isEnabled,
      `${register} of queue ${shadow.selected} is accessed while QueueReady is not 0`,
    );
  }

  /** The order in which a device is looked at first, and registers that there are. */
  private registerAt(offset: number, bytes: number): MmioRegister | undefined {
    const { verdict } = this.watch;
    const found = Object.entries(MMIO_REGISTERS).find(([, { at }]) => at === (offset & ~3));
    const register = found?.[0] as MmioRegister | undefined;
    verdict.judge('drv.mmio.registers.1', register !== undefined, `there is no register at ${offset}`);
    const isWord = bytes === 4 && offset % 4 === 0;
    verdict.judge(
      'drv.mmio.registers.4',
      isWord,
      `${bytes} bytes are accessed at ${offset}, want aligned 32-bit words`,
    );
    if (register === undefined || !isWord) return undefined;
    verdict.judge(
      'drv.mmio.init.5',
      !SHARED.includes(register),
      `${register} is accessed: a network device has no shared memory`,
    );
    const { seen } = this;
    if (this.stopped !== undefined && register !== 'QueueReady' && register !== 'QueueSel') {
      verdict.break(
        'drv.mmio.registers.17',
        `queue ${this.stopped} was stopped, and QueueReady not read back before ${register}`,
      );
      this.stopped = undefined;
    } else if (this.stopped === undefined && register === 'QueueReady') verdict.keep('drv.mmio.registers.17');
    const isChecked = seen.has('MagicValue') && seen.has('Version');
    if (register !== 'MagicValue' && register !== 'Version' && !seen.has(register))
      verdict.judge('drv.mmio.init.1', isChecked, `${register} is accessed before MagicValue and Version were read`);
    if (register === 'DeviceID') verdict.judge('drv.mmio.init.2', isChecked, 'DeviceID is read first');
    seen.add(register);
    return register;
  }
}
