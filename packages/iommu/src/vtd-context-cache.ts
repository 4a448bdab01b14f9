import { VirtioError } from '@ringwire/virtio-spec';
import { type FirstStage, newFirstStage, newSecondStage, type SecondStage } from './vtd-paging.js';

const EMPTY = -1;

/** What root, context and PASID tables say of one requester. */
export interface VtdContext {
  sourceId: number;
  /** As the request had it. */
  pasid: number;
  /** The PASID that it was given. */
  givenPasid: number;
  domain: number;
  /** VTD_KIND. */
  kind: number;
  /** Whether translation requests are answered. */
  deviceTlb: boolean;
  readonly firstStage: FirstStage;
  readonly secondStage: SecondStage;
}

export const newContext = (): VtdContext => ({
  sourceId: EMPTY,
  pasid: 0,
  givenPasid: 0,
  domain: 0,
  kind: 0,
  deviceTlb: false,
  firstStage: newFirstStage(),
  secondStage: newSecondStage(),
});

/** What requesters' tables say (VT-d 4.0 §6.2.3, §6.2.4 context cache and PASID cache): only of those that are good. */
export class VtdContextCache {
  evictions = 0;
  invalidated = 0;

  private readonly entries: readonly VtdContext[];

  /** @param capacity a power of two */
  constructor(capacity: number) {
    if (!Number.isInteger(capacity) || capacity < 1 || capacity > 2 ** 16 || (capacity & (capacity - 1)) !== 0)
      throw new VirtioError('contexts', capacity, 'a power of two up to 2^16', 'VtdContextCache');
    this.entries = Array.from({ length: capacity }, newContext);
  }

  find(sourceId: number, pasid: number): VtdContext | undefined {
    const entry = this.entryOf(sourceId, pasid);
    return entry.sourceId === sourceId && entry.pasid === pasid ? entry : undefined;
  }

  insert(context: VtdContext): void {
    const entry = this.entryOf(context.sourceId, context.pasid);
    if (entry.sourceId !== EMPTY && (entry.sourceId !== context.sourceId || entry.pasid !== context.pasid))
      this.evictions++;
    entry.sourceId = context.sourceId;
    entry.pasid = context.pasid;
    entry.givenPasid = context.givenPasid;
    entry.domain = context.domain;
    entry.kind = context.kind;
    entry.deviceTlb = context.deviceTlb;
    Object.assign(entry.firstStage, context.firstStage);
    Object.assign(entry.secondStage, context.secondStage);
  }

  all(): void {
    for (const entry of this.entries) this.drop(entry);
  }

  domain(domain: number): void {
    for (const entry of this.entries) if (entry.domain === domain) this.drop(entry);
  }

  requester(sourceId: number): void {
    for (const entry of this.entries) if (entry.sourceId === sourceId) this.drop(entry);
  }

  private drop(entry: VtdContext): void {
    if (entry.sourceId === EMPTY) return;
    entry.sourceId = EMPTY;
    this.invalidated++;
  }

  private entryOf(sourceId: number, pasid: number): VtdContext {
    // Functions are numbered from 0 in each device: bits 7:0 of most requester ids differ least in their low bits.
    return this.entries[(sourceId ^ (sourceId >>> 8) ^ Math.imul(pasid, 0x9d)) & (this.entries.length - 1)]!;
  }
}
