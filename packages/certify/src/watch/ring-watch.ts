import type { QueueSetup } from '@ringwire/guest-drivers';
import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import { inspectRing, type PendingElement, type RingInput, type RingReport } from '@ringwire/ring-oracle';
import { SpaceReader } from '@ringwire/virtio-device';
import { featuresToBigInt, hasFeature, VIRTIO_F, VIRTQ_DESC } from '@ringwire/virtio-spec';
import type { StatementId } from '../statements.js';
import type { Verdict } from '../verdict.js';

const WORDS = VIRTQ_DESC.SIZE >> 2;
const RW = ACCESS.READ | ACCESS.WRITE;

/** A buffer that the driver made available, and the device has not used. */
export interface Exposed {
  readonly element: PendingElement;
  /** Descriptors of the ring that it takes, and what was in them: 4 words each. */
  readonly slots: { readonly index: number; readonly words: Uint32Array }[];
  /** Its indirect table, as it was. */
  readonly table: { readonly address: number; readonly bytes: Uint8Array } | undefined;
}

/** A buffer that the device used since it was looked last. */
export interface Used {
  readonly id: number;
  readonly length: number;
  /** Host offsets of the fields in the ring, for whoever plays a device that does odd things. */
  readonly idAt: number;
  readonly lengthAt: number;
  readonly exposed: Exposed | undefined;
}

/** What a ring is watched with. */
export interface RingPlace {
  readonly index: number;
  readonly setup: QueueSetup;
  readonly features: Uint32Array;
  /** The driver's own way to its memory. */
  readonly space: AddressSpace;
  readonly verdict: Verdict;
  /** What the device type has to say of a buffer. */
  readonly judge: (queue: number, element: PendingElement, read: SpaceReader) => void;
  /** Device and driver take turns: nothing changes while it is looked at. */
  readonly inTurns: boolean;
}

/**
 * A virtqueue from outside, looked at between the turns of driver and device. What is made available is judged by the ring
 * oracle once, when it is new; from then until it is used it must not change.
 */
export abstract class RingWatch {
  readonly index: number;
  readonly exposed: Map<number, Exposed> = new Map();
  protected readonly place: RingPlace;
  protected readonly size: number;
  protected readonly reader: SpaceReader;
  protected readonly view: DataView;
  /** Host offsets; negative where there is no memory in one piece. */
  protected readonly desc: number;
  protected readonly driver: number;
  protected readonly device: number;
  protected readonly hasEvents: boolean;
  /** Nothing that the ring says can be followed any more. */
  protected isLost = false;
  protected readonly inOrder: boolean;
  protected readonly name: string;
  /** Whose a descriptor is: the id of a buffer, or -1. */
  private readonly owners: Int32Array;

  protected constructor(place: RingPlace, bytes: { desc: number; driver: number; device: number }) {
    const { index, setup, features, space } = place;
    this.index = index;
    this.place = place;
    this.size = setup.size;
    this.reader = new SpaceReader(space);
    this.view = space.memory.view;
    this.desc = space.resolve(setup.desc, bytes.desc, RW);
    this.driver = space.resolve(setup.driver, bytes.driver, RW);
    this.device = space.resolve(setup.device, bytes.device, RW);
    this.isLost = this.desc < 0 || this.driver < 0 || this.device < 0;
    this.hasEvents = hasFeature(features, VIRTIO_F.EVENT_IDX);
    this.inOrder = hasFeature(features, VIRTIO_F.IN_ORDER);
    this.owners = new Int32Array(Math.max(setup.size, 0)).fill(-1);
    this.name = `queue ${index}`;
    this.judgeLayout();
  }

  /** Look at what the driver made available since. */
  abstract lookDriver(): void;
  /** Look at what the device used since, before the driver can. */
  abstract lookDevice(): Used[];
  /** The driver notifies the device. @param data as sent with NOTIFICATION_DATA */
  abstract notified(data: number | undefined): void;
  /** The driver's turn is over. */
  abstract turnOver(): void;

  /** Whether an address is of the ring itself. */
  overlaps(address: number, bytes: number): boolean {
    const { desc, driver, device } = this.place.setup;
    const parts = [desc, driver, device].some((part) => part >= address && part < address + bytes);
    const buffers = [...this.exposed.values()].some(({ element }) =>
      element.descriptors.some(({ address: at }) => Number(at) >= address && Number(at) < address + bytes),
    );
    return parts || buffers;
  }

  protected break(id: StatementId, message: string, at: string | null = null): void {
    this.place.verdict.break(id, `${this.name}: ${message}`, at);
  }

  protected judge(id: StatementId, holds: boolean, message: string): void {
    this.place.verdict.judge(id, holds, `${this.name}: ${message}`);
  }

  /** What the oracle says of the ring from here on. */
  protected inspect(input: Pick<RingInput, 'layout' | 'lastAvail' | 'used'>): RingReport {
    const { setup, features } = this.place;
    const report = inspectRing({
      ...input,
      memory: this.reader,
      size: setup.size,
      desc: BigInt(setup.desc),
      driver: BigInt(setup.driver),
      device: BigInt(setup.device),
      features: featuresToBigInt(features),
      maxFindings: 20,
    });
    for (const { by, id, message, at } of report.violations)
      if (by === 'driver') this.break(this.clauseOf(id), message, at);
    return report;
  }

  /** Keep a buffer that is new, and judge it. */
  protected expose(element: PendingElement): void {
    const { id } = element;
    const { layout } = this;
    if (this.exposed.has(id)) {
      const again: StatementId = layout === 'split' ? 'drv.basic.cleanup.1' : 'ring.packed.id-twice';
      this.break(again, `buffer ${id} is made available again before the device used it`);
    }
    const slots = this.slotsOf(element).map((index) => ({ index, words: this.wordsAt(index) }));
    for (const { index } of slots) {
      const owner = this.owners[index]!;
      if (owner >= 0 && owner !== id && this.exposed.has(owner))
        this.break('drv.basic.cleanup.1', `descriptor ${index} of buffer ${id} is in buffer ${owner}, not used yet`);
      this.owners[index] = id;
    }
    this.exposed.set(id, { element, slots, table: this.tableOf(element) });
    this.keepChainRules(element);
    this.place.judge(this.index, element, this.reader);
  }

  /** The device used a buffer. */
  protected take(id: number): Exposed | undefined {
    const found = this.exposed.get(id);
    this.exposed.delete(id);
    for (const { index } of found?.slots ?? []) if (this.owners[index] === id) this.owners[index] = -1;
    return found;
  }

  /** What was made available and is not used is as it was. */
  protected compareExposed(): void {
    const id: StatementId = this.layout === 'split' ? 'drv.basic.cleanup.1' : 'drv.packed.desc-table.2';
    for (const [buffer, { slots, table }] of this.exposed) {
      for (const { index, words } of slots) {
        if (this.isAsBefore(index, words)) continue;
        const at = `0x${(this.place.setup.desc + index * VIRTQ_DESC.SIZE).toString(16)}`;
        this.break(id, `descriptor ${index} of buffer ${buffer} is changed before the device used it`, at);
        words.set(this.wordsAt(index));
      }
      if (table === undefined) continue;
      const now = this.reader.read(BigInt(table.address), table.bytes.length);
      if (now?.every((byte, at) => byte === table.bytes[at]) === true) continue;
      this.break(
        id,
        `the indirect table of buffer ${buffer} is changed before the device used it`,
        `0x${table.address.toString(16)}`,
      );
      if (now !== null) table.bytes.set(now);
    }
    if (this.exposed.size > 0) this.place.verdict.keep(id);
    if (this.exposed.size > 0) this.place.verdict.keep('drv.basic.cleanup.1');
  }

  protected abstract readonly layout: 'split' | 'packed';
  /** Descriptors of the ring that an element takes up. */
  protected abstract slotsOf(element: PendingElement): number[];
  /** Where the ring lies. */
  protected abstract judgeLayout(): void;

  private isAsBefore(slot: number, words: Uint32Array): boolean {
    const at = this.desc + slot * VIRTQ_DESC.SIZE;
    for (let word = 0; word < WORDS; word++) if (this.view.getUint32(at + word * 4, true) !== words[word]) return false;
    return true;
  }

  protected wordsAt(slot: number): Uint32Array {
    const at = this.desc + slot * VIRTQ_DESC.SIZE;
    return Uint32Array.from({ length: WORDS }, (_, word) => this.view.getUint32(at + word * 4, true));
  }

  /** Whether a descriptor is in a buffer that the device has not used. */
  protected isUnderWay(slot: number): boolean {
    return this.exposed.has(this.owners[slot]!);
  }

  /** The device wrote its own into a descriptor of the ring. */
  protected forgetWords(slot: number): void {
    const owner = this.owners[slot];
    const slots = owner === undefined || owner < 0 ? undefined : this.exposed.get(owner)?.slots;
    const found = slots?.findIndex(({ index }) => index === slot) ?? -1;
    if (found >= 0) slots!.splice(found, 1);
  }

  private tableOf({ indirect }: PendingElement): Exposed['table'] {
    if (indirect === null) return undefined;
    const bytes = this.reader.read(BigInt(indirect.table), indirect.length);
    return bytes === null ? undefined : { address: Number(indirect.table), bytes };
  }

  /** The rule that the driver broke: a place without memory is, where addresses are translated, an address that was not. */
  private clauseOf(id: string): StatementId {
    if (!/buffer-unmapped|part-unmapped|indirect-unmapped/.test(id)) return id as StatementId;
    const isTranslated = hasFeature(this.place.features, VIRTIO_F.ACCESS_PLATFORM);
    return isTranslated ? 'drv.basic.reserved-features.4' : 'drv.basic.reserved-features.5';
  }

  /** Rules of chains that had occasion to be broken. */
  private keepChainRules(element: PendingElement): void {
    const { verdict, features } = this.place;
    const { layout } = this;
    const isLinked = element.descriptors.length > 1;
    const hasTable = element.indirect !== null;
    const translated = hasFeature(features, VIRTIO_F.ACCESS_PLATFORM);
    const kept: StatementId[] = [translated ? 'drv.basic.reserved-features.4' : 'drv.basic.reserved-features.5'];
    if (!hasFeature(features, VIRTIO_F.INDIRECT_DESC)) kept.push(`drv.${layout}.indirect.1`);
    if (layout === 'split') {
      kept.push('drv.split.desc-table.1', 'drv.split.indirect.3');
      if (isLinked) kept.push('drv.split.framing.1');
      if (hasTable) kept.push('drv.split.indirect.2', 'drv.split.indirect.4');
      if (this.inOrder && isLinked) kept.push(hasTable ? 'drv.split.indirect.5' : 'drv.split.desc-table.2');
    } else {
      kept.push('drv.packed.scatter-gather.2', 'drv.packed.scatter-gather.5', 'drv.packed.scatter-gather.6');
      if (isLinked) kept.push('drv.packed.scatter-gather.3');
      if (hasTable) kept.push('drv.packed.indirect.2', 'drv.packed.indirect.4');
    }
    for (const id of kept) verdict.keep(id);
  }
}
