import type { HostMemory } from '@ringwire/guest-memory';
import {
  DELIVERED,
  type Delivered,
  type Frame,
  type FrameRun,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';
import { OFFLOAD_AREA_BYTES, OffloadEngine } from '@ringwire/net-offload';
import { hasFeature, VIRTIO_ID, VirtioError } from '@ringwire/virtio-spec';
import { VIRTIO_NET_CONFIG_LIMITS, VIRTIO_NET_F, VIRTIO_NET_S } from '@ringwire/virtio-spec/net';
import type { SelfGroupParts } from '../admin/self-group.js';
import type { DeviceModel, DevicePort, TypeParts } from '../device-model.js';
import { counted } from '../inspection/counted.js';
import type { NetSnapshot } from '../inspection/snapshot-types.js';
import { ConfigSpace } from './config-space.js';
import { ControlQueue } from './control-queue.js';
import { DeviceSink } from './device-sink.js';
import { FlowObjects } from './flow-objects.js';
import { TracedBackend } from './frame-trace.js';
import { GuestOffloads } from './guest-offloads.js';
import { NET_DROP } from './net-drop.js';
import { netFeatureProblem, netFeaturesOffered } from './net-features.js';
import {
  checkedDuplex,
  checkedSpeed,
  checkMac,
  isStationMac,
  type NetDeviceOptions,
  type NetDeviceSettings,
  settingsOf,
} from './net-options.js';
import { NetParts } from './net-parts.js';
import { type NetPolicy, vlanWishes } from './net-policy.js';
import type { NetQueue } from './net-queue.js';
import { RxQueue } from './net-rx.js';
import { RxPath } from './net-rx-path.js';
import type { HandedFrames } from './net-share.js';
import { NetState } from './net-state.js';
import { RX_STAT, type Statistics, TX_STAT } from './net-statistics.js';
import { TxQueue } from './net-tx.js';
import { RarpSender } from './rarp-sender.js';
import { HASH_TYPES, RSS_KEY_BYTES_MAX, RSS_TABLE_ENTRIES_MAX, TUNNEL_TYPES } from './rss-config.js';
import { RxFilter } from './rx-filter.js';
import { Steering } from './steering.js';
import { TxOffload } from './tx-offload.js';

const F = VIRTIO_NET_F;
const NEVER = Number.POSITIVE_INFINITY;
const HASHING = {
  keyBytes: RSS_KEY_BYTES_MAX,
  tableEntries: RSS_TABLE_ENTRIES_MAX,
  hashTypes: HASH_TYPES,
  tunnelTypes: TUNNEL_TYPES,
};

/** Bytes of host memory that a device works in, one half for each direction. */
export const NET_SCRATCH_BYTES: number = 2 * OFFLOAD_AREA_BYTES;

/**
 * The network device, virtio 1.4 §5.1: the device side of its queues between a driver's rings and a {@link NetBackend}.
 * Transports call it through {@link DeviceModel}; its backend, or another device's, through {@link sink}.
 */
export class NetDevice implements DeviceModel, HandedFrames {
  readonly deviceId: number = VIRTIO_ID.NET;
  readonly features: Uint32Array;
  readonly queueSizes: readonly number[];
  readonly config: Uint8Array;
  /** Where frames for the driver go; the backend was given it. */
  readonly sink: FrameSink;
  /** Frames, buffers and commands that were given up, by `NET_DROP` code. */
  readonly drops: Float64Array;
  readonly selfGroup: SelfGroupParts;
  readonly typeParts: TypeParts;
  private readonly settings: NetDeviceSettings;
  private readonly backend: NetBackend;
  private readonly state: NetState;
  private readonly configSpace: ConfigSpace;
  private readonly filter: RxFilter;
  private readonly guest: GuestOffloads = new GuestOffloads();
  private readonly steering: Steering;
  private readonly offload: TxOffload;
  private readonly path: RxPath;
  private readonly rarp: RarpSender;
  private readonly rxQueues: readonly RxQueue[];
  private readonly txQueues: readonly TxQueue[];
  /** By virtqueue index, without the control queue. */
  private readonly pairQueues: readonly NetQueue[];
  private readonly control: ControlQueue;
  private readonly policy: NetPolicy | undefined;
  private isInStep = false;
  /** A burst is open that came outside a step. */
  private isOpen = false;
  /** Queues came or went. */
  private isStale = false;

  /** @throws VirtioError for what no device can be */
  constructor(options: NetDeviceOptions) {
    const settings = settingsOf(options);
    const { pairs, memory } = settings;
    const { trace, scratch } = options;
    const backend = trace === undefined ? settings.backend : new TracedBackend(settings.backend, trace);
    this.settings = settings;
    this.backend = backend;
    this.features = netFeaturesOffered(options, pairs);
    const state = new NetState(memory, settings.mtu, options);
    this.state = state;
    this.drops = state.drops;
    this.configSpace = new ConfigSpace(settings, HASHING);
    this.config = this.configSpace.bytes;
    this.filter = new RxFilter(state, settings.macTableEntries);
    const steering = new Steering(state);
    this.steering = steering;
    const offload = new TxOffload(state, backend, steering, engineAt(memory, scratch));
    this.offload = offload;
    this.rarp = new RarpSender(state, backend);
    const rxQueues = Array.from({ length: pairs }, (_, pair) => new RxQueue(state, pair, settings.holdWhenFull));
    const txQueues = rxQueues.map(
      (_, pair) => new TxQueue(state, pair, backend, offload, steering, settings.pollTurns),
    );
    this.rxQueues = rxQueues;
    this.txQueues = txQueues;
    this.pairQueues = rxQueues.flatMap((rx, pair): NetQueue[] => [rx, txQueues[pair]!]);
    const { filter, guest, pairQueues: dataQueues, configSpace: config } = this;
    const rxEngine = engineAt(memory, scratch === undefined ? undefined : scratch + OFFLOAD_AREA_BYTES);
    this.path = new RxPath(state, filter, steering, guest, rxQueues, rxEngine, settings.validateChecksums);
    const { policy } = options;
    const parts = { settings, state, config, filter, guest, steering, policy, dataQueues };
    this.policy = policy;
    this.control = new ControlQueue(parts);
    this.selfGroup = new FlowObjects(state, steering.filter);
    this.typeParts = new NetParts(parts, this.control.coalescingCommands);
    const hasControl = hasFeature(this.features, F.CTRL_VQ);
    const sizes = rxQueues.flatMap(() => [settings.rxQueueSize, settings.txQueueSize]);
    this.queueSizes = hasControl ? [...sizes, settings.controlQueueSize] : sizes;
    this.sink = new DeviceSink(this, guest);
    backend.attach(this.sink);
  }

  featureProblem(features: Uint32Array): string | undefined {
    return netFeatureProblem(features, this.settings.externalControl);
  }

  /** All of the configuration is read-only for the driver: virtio 1.4 §5.1.4. */
  writeConfig(_at: number, _bytes: number, _value: number): void {}

  start(port: DevicePort): void {
    this.state.start(port, this.settings.pairs);
    this.filter.start();
    this.filter.setOwn(this.settings.mac);
    // Until it adds one, a driver that filters VLANs is in none.
    if (this.state.has(F.CTRL_VLAN)) this.policy?.request(vlanWishes(this.filter.vlans));
    this.steering.start();
    this.guest.start(port.features);
    this.offload.start();
    this.control.index = this.state.controlIndex;
    this.control.coalescingCommands.start();
    for (const queue of this.pairQueues) queue.statistics.clear();
    this.control.statistics.clear();
    this.isStale = true;
    this.state.share?.clear();
    this.backend.running?.(true);
  }

  stop(): void {
    this.backend.running?.(false);
    this.policy?.forget();
    this.state.stop();
    for (const queue of this.pairQueues) queue.close();
    this.control.close();
    this.isOpen = false;
    // A driver that starts anew finds the device's own address.
    this.configSpace.setMac(this.settings.mac);
    this.configSpace.setStatus(VIRTIO_NET_S.ANNOUNCE, false);
  }

  /** The MTU is the device's own again. */
  reset(): void {
    this.applyMtu(this.settings.mtu);
  }

  queueChanged(index: number): void {
    const queue = this.queueAt(index);
    if (queue === undefined) return;
    queue.close();
    if (queue !== this.control) this.control.coalescingCommands.restore(queue);
    this.isStale = true;
  }

  notified(index: number): void {
    if (index >= 2 * this.state.pairsMax) return;
    const counter = (index & 1) === 0 ? RX_STAT.rx_notifications : TX_STAT.tx_notifications;
    this.pairQueues[index]!.statistics.add(counter, 1);
  }

  step(budget: number): number {
    const { port } = this.state;
    if (this.isInStep || port === undefined) return 0;
    this.isInStep = true;
    if (this.isStale) this.refresh();
    this.state.retryAt = NEVER;
    let done = this.control.turn(budget);
    done += this.backend.pump(budget);
    const { share } = this.state;
    if (share !== undefined) done += share.pump(budget, this);
    for (let pair = 0; pair < this.steering.txPairs; pair++) done += this.txQueues[pair]!.turn(budget);
    this.backend.flush?.();
    share?.flush();
    this.flushQueues();
    if (this.deadline() < NEVER) {
      const now = port.now();
      for (const queue of this.pairQueues) queue.checkCoalescing(now);
    }
    this.isInStep = false;
    return done;
  }

  deadline(): number {
    let earliest = Math.min(this.state.retryAt, this.backend.deadline?.() ?? NEVER);
    for (let pair = 0; pair < this.state.pairsMax; pair++) {
      const tx = this.txQueues[pair]!;
      const rx = this.rxQueues[pair]!;
      earliest = Math.min(earliest, tx.retryAt, tx.coalescing.deadline(), rx.coalescing.deadline());
    }
    return earliest;
  }

  suspend(): void {
    this.flushQueues();
    for (const queue of this.pairQueues) queue.checkCoalescing(NEVER);
  }

  /** The cable is plugged in or pulled out. */
  setLink(isUp: boolean): void {
    if (this.state.linkUp === isUp) return;
    this.state.linkUp = isUp;
    this.configSpace.setStatus(VIRTIO_NET_S.LINK_UP, isUp);
    if (this.state.has(F.STATUS)) this.state.port?.configChanged();
  }

  /**
   * Another address: what a driver reads from now on. One that is at work keeps to the address it knows, whose frames pass
   * until it starts the device anew. @throws VirtioError for what is no station's address
   */
  setMac(mac: Uint8Array): void {
    checkMac(mac);
    this.settings.mac.set(mac);
    this.configSpace.setMac(mac);
    if (this.state.has(F.MAC)) this.state.port?.configChanged();
  }

  /**
   * @param speed Mbit/s or `VIRTIO_NET_SPEED.UNKNOWN`, @param duplex `VIRTIO_NET_DUPLEX`
   * @throws VirtioError while the link is up: virtio 1.4 §5.1.4.1
   */
  setSpeed(speed: number, duplex: number): void {
    if (this.state.linkUp) throw new VirtioError('speed', speed, 'set while the link is down', 'virtio 1.4 §5.1.4.1');
    const isOther = this.configSpace.setSpeed(checkedSpeed(speed), checkedDuplex(duplex));
    if (isOther && this.state.has(F.SPEED_DUPLEX)) this.state.port?.configChanged();
  }

  /**
   * Ask the driver to announce itself, as after a migration. virtio 1.4 §5.1.9.5.4
   * @returns false when it did not negotiate to be asked
   */
  announce(): boolean {
    if (!this.state.has(F.GUEST_ANNOUNCE)) return false;
    this.configSpace.setStatus(VIRTIO_NET_S.ANNOUNCE, true);
    this.state.port?.configChanged();
    return true;
  }

  /**
   * The MTU that the driver is shown, where somebody else shows it, as a vhost-user front-end does; until the next reset.
   * @returns false, with nothing changed, for less than 68, more than the device was made with, or while the device runs:
   *          virtio 1.4 §5.1.4.1
   */
  setMtu(mtu: number): boolean {
    const { state, settings } = this;
    if (mtu === state.mtu) return true;
    const isPossible = Number.isInteger(mtu) && mtu >= VIRTIO_NET_CONFIG_LIMITS.mtu.min && mtu <= settings.mtu;
    if (state.port !== undefined || !isPossible) return false;
    this.applyMtu(mtu);
    return true;
  }

  /**
   * Tell the network where a station is, by a RARP request, as after a migration of a guest that cannot do so itself. Not
   * to be called within a step.
   * @returns false when nothing was sent: no station's address, the link is down, or the backend took no frame
   */
  sendRarp(mac: Uint8Array): boolean {
    return isStationMac(mac) && this.rarp.send(mac);
  }

  /** Counters of a queue since the device was started, or undefined where there is no such queue; live. */
  statistics(index: number): Statistics | undefined {
    return this.queueAt(index)?.statistics;
  }

  /** Virtqueues of pairs that there are, by what was negotiated: the control queue's index, with one. */
  get dataQueues(): number {
    return 2 * this.state.pairsMax;
  }

  /** Statistics of a queue of a pair, whether it is there by what was negotiated or not. @param index below 2 · pairs */
  queueStatistics(index: number): Statistics {
    return this.pairQueues[index]!.statistics;
  }

  snapshot(): NetSnapshot {
    const { state, steering, pairQueues: dataQueues } = this;
    const waits = this.txQueues.filter(({ retryAt }) => retryAt < NEVER);
    const owes = dataQueues.filter(({ coalescing }) => coalescing.deadline() < NEVER);
    return {
      type: 'net',
      linkUp: state.linkUp,
      mtu: state.mtu,
      pairs: steering.txPairs,
      controlQueue: state.controlIndex < 0 ? null : state.controlIndex,
      drops: counted(NET_DROP, this.drops),
      backendFull: waits.map(({ index }) => index),
      coalescing: owes.map(({ index }) => index),
    };
  }

  /** The device ends: its backend brings and takes nothing more. */
  close(): void {
    this.stop();
    this.backend.attach(undefined);
  }

  /** A frame for the driver, from {@link sink}. */
  receive(frame: Frame): Delivered {
    if (this.isInStep || this.isOpen || this.openBurst()) return this.path.receive(frame);
    this.state.drop(NET_DROP.RX_STOPPED);
    this.state.trace?.received(-1, frame, NET_DROP.RX_STOPPED);
    return DELIVERED.DROPPED;
  }

  /** Frames for the driver, from {@link sink}. @returns how many were taken */
  receiveRun(run: FrameRun): number {
    return this.isInStep || this.isOpen || this.openBurst() ? this.path.receiveRun(run) : 0;
  }

  /** A frame from another thread's {@link NetShare}; by older rules than now it is steered anew. */
  takeHanded(frame: Frame, note: number, value: number, stamp: number): Delivered {
    return stamp === this.state.epoch ? this.path.takeHanded(frame, note, value) : this.path.receive(frame);
  }

  /** Do what this device's control plane, in another thread, did. In a burst. @param command class, command and data */
  obey(command: Uint8Array): void {
    if (this.isStale) this.refresh();
    this.control.obey(command);
  }

  /** The end of a burst that came outside a step; within one its own end is. */
  flush(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.flushQueues();
    this.state.port?.leave();
  }

  private applyMtu(mtu: number): void {
    this.state.mtu = mtu;
    this.configSpace.setMtu(mtu);
  }

  /** @returns false while queues are not to be touched */
  private openBurst(): boolean {
    if (this.state.port?.enter() !== true) return false;
    this.isOpen = true;
    if (this.isStale) this.refresh();
    return true;
  }

  private refresh(): void {
    this.isStale = false;
    for (let index = 0; index < 2 * this.state.pairsMax; index++) this.pairQueues[index]!.refresh();
    if (this.state.controlIndex >= 0) this.control.refresh();
    if (this.settings.externalControl) this.usePairs();
  }

  /** No command says how many pairs are in use: the queues do that are on. */
  private usePairs(): void {
    const { rxQueues, txQueues } = this;
    let pairs = this.state.pairsMax;
    while (pairs > 1 && (rxQueues[pairs - 1]!.queue ?? txQueues[pairs - 1]!.queue) === undefined) pairs--;
    if (pairs !== this.steering.txPairs) this.steering.setPairs(pairs);
  }

  private flushQueues(): void {
    for (let pair = 0; pair < this.state.pairsMax; pair++) this.rxQueues[pair]!.flush();
  }

  private queueAt(index: number): NetQueue | undefined {
    if (index === this.state.controlIndex) return this.control;
    return index < 2 * this.state.pairsMax ? this.pairQueues[index] : undefined;
  }
}

/** @param scratch host offset of its area; without one it works in a memory of its own */
function engineAt(memory: HostMemory, scratch: number | undefined): OffloadEngine {
  return scratch === undefined ? new OffloadEngine() : new OffloadEngine(memory, scratch);
}
