import { VIRTIO_DEV_PART } from '@ringwire/virtio-spec/admin';
import type { VirtioPci } from '../virtio-pci.js';
import { listProblem, rankOf, stateProblem } from './check-parts.js';
import { type DevicePart, partKey, QUEUE_POSITION, selectorNumber } from './device-part.js';
import { isOfDeviceType, stateOf } from './device-state.js';
import type { GroupMember } from './group-member.js';
import { readParts } from './read-parts.js';
import { restoreDevice } from './restore-device.js';

/** Parts that begin another life of a device. */
const NEW_LIFE: readonly number[] = [VIRTIO_DEV_PART.DRV_FEATURES, VIRTIO_DEV_PART.DEVICE_STATUS];

/** A virtio-pci function as a member of its owner's group, in the owner's thread. @see virtio 1.4 §2.12.1.4 */
export class MemberDevice implements GroupMember {
  private readonly virtio: VirtioPci;
  /** Parts that count when the device goes on, by key, and in which of its lives they were set. */
  private readonly staged: Map<string, DevicePart> = new Map();
  private life = -1;

  constructor(virtio: VirtioPci) {
    this.virtio = virtio;
  }

  get isChanging(): boolean {
    return this.virtio.device.isChanging;
  }

  get isStopped(): boolean {
    return this.virtio.device.isStopped;
  }

  stop(): boolean {
    return this.virtio.device.stop();
  }

  resume(): void {
    this.forgetStale();
    if (this.staged.size > 0) restoreDevice(this.virtio, stateOf(this.parts()));
    this.staged.clear();
    this.virtio.device.go();
  }

  parts(): readonly DevicePart[] {
    this.forgetStale();
    return overlay(readParts(this.virtio), this.staged);
  }

  setParts(parts: readonly DevicePart[]): string | undefined {
    this.forgetStale();
    const problem = listProblem(parts, this.virtio);
    if (problem !== undefined) return problem;
    const staged = new Map(this.staged);
    for (const part of parts) if (rankOf(part) >= 0) staged.set(partKey(part), part);
    const wrong = stateProblem(stateOf(overlay(readParts(this.virtio), staged)), this.virtio);
    if (wrong !== undefined) return wrong;
    for (const [key, part] of staged) this.staged.set(key, part);
    this.life = this.virtio.device.counters.resets;
    return undefined;
  }

  /** A reset by the driver, or of the function, ends what was set before. virtio 1.4 §2.12.1.4.4.1 */
  private forgetStale(): void {
    if (this.life !== this.virtio.device.counters.resets) this.staged.clear();
  }
}

/** A device's own parts with others in their places. */
function overlay(own: readonly DevicePart[], others: ReadonlyMap<string, DevicePart>): DevicePart[] {
  if (others.size === 0) return [...own];
  const set = [...others.values()];
  const moved = new Set(set.filter(({ type }) => type === VIRTIO_DEV_PART.VQ_CFG).map(selectorNumber));
  const isNewLife = set.some(({ type }) => NEW_LIFE.includes(type));
  // Where the device itself stands in a queue says nothing of a queue that comes from elsewhere, and what its driver set up
  // by commands nothing of another driver's life.
  const kept = own.filter((part) =>
    part.type === QUEUE_POSITION ? !moved.has(selectorNumber(part)) : !isNewLife || !isOfDeviceType(part),
  );
  const all = new Map(kept.map((part) => [partKey(part), part]));
  for (const [key, part] of others) all.set(key, part);
  return [...all.values()].sort((a, b) => rankOf(a) - rankOf(b));
}
