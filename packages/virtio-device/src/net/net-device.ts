import type { Delivered, Frame, FrameSink, NetBackend } from '@ringwire/net-backend';
import { hasFeature, VIRTIO_ID, VIRTIO_NET_F, VIRTIO_NET_S, VirtioError } from '@ringwire/virtio-spec';
import type { DeviceModel, DevicePort } from '../device-model.js';
import { ConfigSpace } from './config-space.js';
import { netFeatureProblem, offeredFeatures } from './net-features.js';
import {
  checkedDuplex,
  checkedSpeed,
  type NetDeviceOptions,
  type NetDeviceSettings,
  settingsOf,
} from './net-options.js';
import type { NetQueue } from './net-queue.js';
import { RxQueue } from './net-rx.js';
import { RxPath } from './net-rx-path.js';
import { NetState } from './net-state.js';
import { RX_STAT, TX_STAT } from './net-statistics.js';
import { TxQueue } from './net-tx.js';
import { RxFilter } from './rx-filter.js';
import { Steering } from './steering.js';
import { TxOffload } from './tx-offload.js';

const NEVER = Number.POSITIVE_INFINITY;

/**
 * The network device, virtio 1.4 §5.1: the device side of its queues between a driver's rings and a {@link NetBackend}.
 * Transports call it through {@link DeviceModel}; its backend through {@link sink}.
 */
export class NetDevice implements DeviceModel {
  readonly deviceId: number = VIRTIO_ID.NET;
  readonly features: Uint32Array;
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array;
  /** Where frames for the driver go; given to the backend, and fit for another device's backend. */
  readonly sink: FrameSink;
  /** Frames, buffers and commands that were given up, by `NET_DROP` code. */
  readonly drops: Float64Array;
  private readonly settings: NetDeviceSettings;
  private readonly backend: NetBackend;
  private readonly state: NetState;
  private readonly configSpace: ConfigSpace;
  private readonly filter: RxFilter;
  private readonly steering: Steering;
  private readonly offload: TxOffload;
  private readonly path: RxPath;
  private readonly rxQueues: readonly RxQueue[];
  private readonly txQueues: readonly TxQueue[];
  /** By virtqueue index, without the control queue. */
  private readonly dataQueues: readonly NetQueue[];
  private isInStep = false;
  /** A burst is open that another device's step brought. */
  private isOpen = false;

  /** @throws VirtioError for what no device can be */
  constructor(options: NetDeviceOptions) {
    const settings = settingsOf(options);
    const { pairs } = settings;
    this.settings = settings;
    this.backend = settings.backend;
    this.features = offeredFeatures(options, pairs);
    this.state = new NetState(settings.memory, settings.mtu);
    this.drops = this.state.drops;
    this.configSpace = new ConfigSpace(settings, { keyBytes: 40, tableEntries: 128, hashTypes: 0, tunnelTypes: 0 });
    this.config = this.configSpace.bytes;
    this.filter = new RxFilter(this.state, settings.macTableEntries);
    this.steering = new Steering(this.state);
    this.offload = new TxOffload(this.state);
    const numbers = Array.from({ length: pairs }, (_, pair) => pair);
    this.rxQueues = numbers.map((pair) => new RxQueue(this.state, pair, settings.holdWhenFull));
    this.txQueues = numbers.map((pair) => new TxQueue(this.state, pair, this.backend, this.offload, this.steering));
    this.dataQueues = numbers.flatMap((pair) => [this.rxQueues[pair]!, this.txQueues[pair]!]);
    this.path = new RxPath(this.state, this.filter, this.steering, this.rxQueues);
    this.queueSizes = [
      ...numbers.flatMap(() => [settings.rxQueueSize, settings.txQueueSize]),
      ...(hasFeature(this.features, VIRTIO_NET_F.CTRL_VQ) ? [settings.controlQueueSize] : []),
    ];
    this.sink = new DeviceSink(this);
    this.backend.attach(this.sink);
  }

  featureProblem(features: Uint32Array): string | undefined {
    return netFeatureProblem(features);
  }

  /** All of the configuration is read-only for the driver: virtio 1.4 §5.1.4. */
  writeConfig(_at: number, _bytes: number, _value: number): void {}

  start(port: DevicePort): void {
    this.state.start(port, this.settings.pairs);
    this.filter.start();
    this.filter.setOwn(this.configSpace.mac);
    this.steering.start();
    this.offload.start();
    for (const queue of this.dataQueues) {
      queue.statistics.clear();
      if (queue.index < 2 * this.state.pairsMax) queue.reopen();
    }
  }

  stop(): void {
    this.state.stop();
    for (const queue of this.dataQueues) queue.close();
    this.isOpen = false;
  }

  queueChanged(index: number): void {
    if (index < 2 * this.state.pairsMax) this.dataQueues[index]?.reopen();
  }

  notified(index: number): void {
    if (index >= 2 * this.state.pairsMax) return;
    const counter = (index & 1) === 0 ? RX_STAT.rx_notifications : TX_STAT.tx_notifications;
    this.dataQueues[index]?.statistics.add(counter, 1);
  }

  step(budget: number): number {
    if (this.isInStep || this.state.port === undefined) return 0;
    this.isInStep = true;
    let done = this.backend.pump(budget);
    for (let pair = 0; pair < this.steering.txPairs; pair++) done += this.txQueues[pair]!.turn(budget);
    this.backend.flush?.();
    this.finishBurst();
    this.isInStep = false;
    return done;
  }

  deadline(): number {
    let earliest = NEVER;
    for (const queue of this.txQueues) earliest = Math.min(earliest, queue.retryAt, queue.coalescing.deadline());
    for (const queue of this.rxQueues) earliest = Math.min(earliest, queue.coalescing.deadline());
    return earliest;
  }

  /** The cable is plugged in or pulled out. */
  setLink(isUp: boolean): void {
    if (this.state.linkUp === isUp) return;
    this.state.linkUp = isUp;
    this.configSpace.setStatus(VIRTIO_NET_S.LINK_UP, isUp);
    if (this.state.has(VIRTIO_NET_F.STATUS)) this.state.port?.configChanged();
  }

  /**
   * @param speed Mbit/s or `VIRTIO_NET_SPEED.UNKNOWN`, @param duplex `VIRTIO_NET_DUPLEX`
   * @throws VirtioError while the link is up: virtio 1.4 §5.1.4.1
   */
  setSpeed(speed: number, duplex: number): void {
    if (this.state.linkUp) throw new VirtioError('speed', speed, 'set while the link is down', 'virtio 1.4 §5.1.4.1');
    this.configSpace.setSpeed(checkedSpeed(speed), checkedDuplex(duplex));
    if (this.state.has(VIRTIO_NET_F.SPEED_DUPLEX)) this.state.port?.configChanged();
  }

  /** A frame for the driver, from {@link sink}. */
  receive(frame: Frame): Delivered {
    if (!this.isInStep && !this.isOpen && this.state.port !== undefined) {
      this.isOpen = true;
      this.state.port.enter();
    }
    return this.path.receive(frame);
  }

  /** The end of a burst that came outside this device's step; within a step its own end is. */
  flush(): void {
    if (this.isInStep || !this.isOpen) return;
    this.isOpen = false;
    const { port } = this.state;
    this.flushQueues();
    port?.leave();
    this.tell();
  }

  private finishBurst(): void {
    this.flushQueues();
    const { port } = this.state;
    if (port !== undefined && this.deadline() < NEVER) {
      const now = port.now();
      for (const queue of this.dataQueues) queue.checkCoalescing(now);
    }
    this.tell();
  }

  private flushQueues(): void {
    for (let pair = 0; pair < this.state.pairsMax; pair++) this.rxQueues[pair]!.flush();
  }

  /** Last of all, for whoever is told may call the device from within. */
  private tell(): void {
    const { state } = this;
    if (state.owing) {
      state.owing = false;
      for (const queue of this.dataQueues) queue.notifyOwed();
    }
    if (state.broken === undefined) return;
    const reason = state.broken;
    const { port } = state;
    this.stop();
    port?.needsReset(reason);
  }
}

/** What a backend sees of a device. */
class DeviceSink implements FrameSink {
  private readonly device: NetDevice;

  constructor(device: NetDevice) {
    this.device = device;
  }

  get offloads(): number {
    return 0;
  }

  receive(frame: Frame): Delivered {
    return this.device.receive(frame);
  }

  flush(): void {
    this.device.flush();
  }
}
