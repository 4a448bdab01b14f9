import {
  type Breakdown,
  isBreakdown,
  type MsixMessage,
  type QueueSetup,
  type Transport,
  type VectorPlan,
} from '@ringwire/guest-drivers';
import { openVdpaControl, type VdpaControl } from '@ringwire/guest-drivers/vendor-b';
import { VIRTIO_F, VIRTIO_ID } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import { MESSAGES, type StageSide } from './vendor-b-stage.js';

function good<T>(outcome: T): Exclude<T, Breakdown> {
  if (typeof outcome === 'object' && outcome !== null && isBreakdown(outcome)) throw new Error(outcome.message);
  return outcome as Exclude<T, Breakdown>;
}

/** The control plane of a function, for a guest that drives virtio. */
export function controlOf(side: StageSide): VdpaControl {
  return good(
    openVdpaControl({ access: side.access, dma: side.controlDma, messages: MESSAGES, patience: side.patience }),
  );
}

/** What a guest's virtio driver sees as registers: each is a command of vendor B's, and doorbells go straight to their pages. */
export class VdpaBridge implements Transport {
  readonly name = 'pci';
  readonly deviceId: number = VIRTIO_ID.NET;
  readonly unusable: readonly number[] = [VIRTIO_F.RING_RESET];
  readonly vectorLimit = 4;
  readonly queueLimit: number;
  readonly configBytes: number;
  /** The function that is behind it now: another one, after a migration. */
  control: VdpaControl;
  /** Queues as they were set up. */
  readonly setups: QueueSetup[] = [];
  readonly features = new Uint32Array(4);
  private plan: VectorPlan = { config: 0, queues: [] };
  private readonly ready: boolean[] = [];

  constructor(control: VdpaControl) {
    this.control = control;
    this.queueLimit = control.facts.queues;
    this.configBytes = control.facts.configBytes;
  }

  /** Move to another function: stop here, go on there. */
  moveTo(control: VdpaControl): QueueState[] {
    good(this.control.suspend());
    const positions = this.setups.map((_, index) => good(this.control.position(index)));
    good(this.control.close());
    this.control = control;
    for (const status of [1, 3]) this.setStatus(status);
    good(control.accept(this.features));
    this.setStatus(11);
    for (const [index, setup] of this.setups.entries()) {
      good(control.setQueue(index, { ...setup, vector: this.vectorOf(index) }));
      good(control.setPosition(index, positions[index]!));
      good(control.setReady(index, true));
    }
    this.setStatus(15);
    return positions;
  }

  status(): number {
    return good(this.control.status());
  }
  setStatus(value: number): void {
    good(this.control.setStatus(value));
    if (value !== 0) return;
    this.setups.length = 0;
    this.features.fill(0);
    this.ready.length = 0;
  }
  deviceFeatures(word: number): number {
    return good(this.control.features())[word]!;
  }
  setDriverFeatures(word: number, bits: number): void {
    this.features[word] = bits;
    good(this.control.accept(this.features));
  }
  configGeneration(): number {
    return good(this.control.readConfig(0, 1)).generation;
  }
  readConfig(at: number, bytes: 1 | 2 | 4): number {
    const { buffer } = good(this.control.readConfig(at, bytes)).bytes;
    const view = new DataView(buffer as ArrayBuffer);
    return bytes === 1 ? view.getUint8(0) : bytes === 2 ? view.getUint16(0, true) : view.getUint32(0, true);
  }
  queueSizeMax(index: number): number {
    return index < this.queueLimit ? this.control.facts.queueSizeMax : 0;
  }
  enableQueue(index: number, setup: QueueSetup): Breakdown | undefined {
    this.setups[index] = setup;
    good(this.control.setQueue(index, { ...setup, vector: this.vectorOf(index) }));
    const problem = this.control.setReady(index, true);
    this.ready[index] = problem === undefined;
    return problem;
  }
  queueEnabled(index: number): boolean {
    return this.ready[index] === true;
  }
  resetQueue(): void {}
  queueResetDone(): boolean {
    return false;
  }
  stopQueue(): void {}
  notify(index: number): void {
    this.control.kick(index);
  }
  notifyIndex(index: number): number {
    return index;
  }
  mapVectors(plan: VectorPlan, _messages: readonly MsixMessage[]): boolean {
    this.plan = plan;
    return true;
  }
  unmapVectors(): void {
    this.plan = { config: 0, queues: [] };
  }
  interruptCause(): number {
    return 0;
  }

  private vectorOf(index: number): number {
    return this.plan.queues.find((one) => one.index === index)?.vector ?? 0;
  }
}
