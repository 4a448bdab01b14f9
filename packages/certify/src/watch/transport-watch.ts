import type { Breakdown, MsixMessage, QueueSetup, Transport, VectorPlan } from '@ringwire/guest-drivers';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import type { DriverWatch } from './driver-watch.js';

const CONFIG_CAUSE = 2;

/** A transport without registers, as that of vDPA is, watched. */
export class TransportWatch implements Transport {
  readonly name: Transport['name'];
  readonly deviceId: number;
  readonly queueLimit: number;
  readonly configBytes: number;
  readonly unusable: readonly number[];
  readonly vectorLimit: number;
  /** The vector of configuration changes; undefined while there is one line. */
  configVector: number | undefined = undefined;
  private readonly transport: Transport;
  private readonly watch: DriverWatch;
  /** Queues that were reset: whether that was seen to end. */
  private readonly resets: Map<number, boolean> = new Map();

  constructor(transport: Transport, watch: DriverWatch) {
    this.transport = transport;
    this.watch = watch;
    const { name, deviceId, queueLimit, configBytes, unusable, vectorLimit } = transport;
    this.name = name;
    this.deviceId = deviceId;
    this.queueLimit = queueLimit;
    this.configBytes = configBytes;
    this.unusable = unusable;
    this.vectorLimit = vectorLimit;
  }

  status(): number {
    this.watch.access();
    return this.watch.statusRead(this.transport.status());
  }

  setStatus(value: number): void {
    this.watch.access();
    this.watch.statusWritten(value);
    this.transport.setStatus(value);
  }

  deviceFeatures(word: number): number {
    this.watch.access();
    return this.watch.offeredRead(word, this.transport.deviceFeatures(word));
  }

  setDriverFeatures(word: number, bits: number): void {
    this.watch.access();
    this.watch.acceptedWritten(word, bits >>> 0);
    this.transport.setDriverFeatures(word, bits);
  }

  configGeneration(): number {
    this.watch.access();
    return this.watch.generationRead(this.transport.configGeneration());
  }

  readConfig(at: number, bytes: 1 | 2 | 4): number {
    this.watch.access();
    return this.watch.configRead(at, bytes, this.transport.readConfig(at, bytes));
  }

  queueSizeMax(index: number): number {
    return this.transport.queueSizeMax(index);
  }

  enableQueue(index: number, setup: QueueSetup, features: Uint32Array): Breakdown | undefined {
    this.watch.access();
    const isDone = this.resets.get(index);
    if (isDone !== undefined) this.watch.queueReenabled(index, isDone);
    this.resets.delete(index);
    this.watch.queueEnabled(index, setup);
    return this.transport.enableQueue(index, setup, features);
  }

  queueEnabled(index: number): boolean {
    this.watch.access();
    return this.transport.queueEnabled(index);
  }

  resetQueue(index: number): void {
    this.watch.queueStopped(index);
    this.resets.set(index, false);
    this.transport.resetQueue(index);
  }

  queueResetDone(index: number): boolean {
    this.watch.access();
    const isDone = this.transport.queueResetDone(index);
    if (isDone && this.resets.has(index)) this.resets.set(index, true);
    return isDone;
  }

  stopQueue(index: number): void {
    this.watch.queueStopped(index);
    this.transport.stopQueue(index);
  }

  notify(index: number, data: number): void {
    this.watch.access();
    this.watch.notified(index, this.watch.has(VIRTIO_F.NOTIFICATION_DATA) ? data : undefined);
    this.transport.notify(index, data);
  }

  notifyIndex(index: number): number {
    return this.transport.notifyIndex(index);
  }

  mapVectors(plan: VectorPlan, messages: readonly MsixMessage[]): boolean {
    const isMapped = this.transport.mapVectors(plan, messages);
    this.configVector = isMapped ? plan.config : undefined;
    return isMapped;
  }

  unmapVectors(): void {
    this.configVector = undefined;
    this.transport.unmapVectors();
  }

  interruptCause(): number {
    const { twist } = this.watch;
    const cause = this.transport.interruptCause() | (twist.configCause ? CONFIG_CAUSE : 0);
    twist.configCause = false;
    return cause;
  }
}
