import type { Transport, VectorPlan } from '@ringwire/guest-drivers';
import { FEATURE_WORDS, VIRTIO_F } from '@ringwire/virtio-spec';
import { EventNotifier } from '../event-notifier.js';
import { VDPA } from '../vdpa-outcome.js';
import type { VhostVdpa } from '../vhost-vdpa.js';

const FEATURES_OK = 8;

/** What a VMM shows its guest of a vhost-vdpa device: registers that become vhost calls. */
export class VhostGuest implements Transport {
  readonly name = 'vdpa';
  readonly deviceId: number;
  readonly queueLimit: number;
  readonly configBytes: number;
  readonly unusable: readonly number[] = [VIRTIO_F.NOTIF_CONFIG_DATA, VIRTIO_F.ADMIN_VQ, VIRTIO_F.RING_RESET];
  readonly vectorLimit = 0;
  private readonly file: VhostVdpa;
  private readonly features = new Uint32Array(FEATURE_WORDS);
  private readonly enabled = new Set<number>();
  private readonly kicks: readonly EventNotifier[];
  private cause = 0;

  constructor(file: VhostVdpa, interrupt: () => void) {
    this.file = file;
    this.deviceId = file.deviceId;
    this.queueLimit = file.getVqsCount();
    this.configBytes = file.getConfigSize();
    this.kicks = Array.from({ length: this.queueLimit }, () => new EventNotifier());
    const raise = (cause: number) => (): void => {
      this.cause |= cause;
      interrupt();
    };
    const config = new EventNotifier();
    config.listen(raise(2));
    file.setConfigCall(config);
    for (const [index, kick] of this.kicks.entries()) {
      const call = new EventNotifier();
      call.listen(raise(1));
      file.setVringKick(index, kick);
      file.setVringCall(index, call);
    }
  }

  status(): number {
    return this.file.getStatus();
  }

  setStatus(value: number): void {
    if (value === 0) {
      this.enabled.clear();
      this.features.fill(0);
    }
    const isFinal = (value & FEATURES_OK) !== 0 && (this.file.getStatus() & FEATURES_OK) === 0;
    if (isFinal && this.file.setFeatures(this.features) !== VDPA.OK) return;
    this.file.setStatus(value);
  }

  deviceFeatures(word: number): number {
    return this.file.getFeatures()[word]!;
  }

  setDriverFeatures(word: number, bits: number): void {
    this.features[word] = bits;
  }

  configGeneration(): number {
    return 0;
  }

  readConfig(at: number, bytes: 1 | 2 | 4): number {
    return this.file.getConfig(at, bytes)!.reduceRight((value, byte) => value * 256 + byte, 0);
  }

  queueSizeMax(index: number): number {
    return this.file.getVringSize(index) ?? 0;
  }

  enableQueue(index: number, setup: { size: number; desc: number; driver: number; device: number }): undefined {
    const { file } = this;
    const isSet =
      file.setVringNum(index, setup.size) === VDPA.OK &&
      file.setVringAddr(index, setup) === VDPA.OK &&
      file.setVringEnable(index, true) === VDPA.OK;
    if (isSet) this.enabled.add(index);
    return undefined;
  }

  queueEnabled(index: number): boolean {
    return this.enabled.has(index);
  }

  resetQueue(): void {}

  queueResetDone(): boolean {
    return false;
  }

  stopQueue(): void {}

  notify(index: number): void {
    this.kicks[index]!.signal();
  }

  notifyIndex(index: number): number {
    return index;
  }

  mapVectors(_plan: VectorPlan): boolean {
    return false;
  }

  unmapVectors(): void {}

  interruptCause(): number {
    const { cause } = this;
    this.cause = 0;
    return cause;
  }
}
