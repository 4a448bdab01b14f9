import type { PendingElement } from '@ringwire/ring-oracle';
import {
  notifiedNextOff,
  notifiedNextWrap,
  PVIRTQ_DESC,
  PVIRTQ_EVENT_MASK,
  PVIRTQ_EVENT_SUPPRESS,
  pvirtqDescBytes,
  RING_EVENT_FLAGS,
  VIRTQ_DESC_F,
} from '@ringwire/virtio-spec';
import { type RingPlace, RingWatch, type Used } from './ring-watch.js';

/** A place in the ring, and the wrap counter that goes with it. */
interface Position {
  index: number;
  wrap: 0 | 1;
}

/** A packed virtqueue, watched. */
export class PackedWatch extends RingWatch {
  protected readonly layout = 'packed' as const;
  private avail: Position = { index: 0, wrap: 1 };
  private used: Position = { index: 0, wrap: 1 };
  /** Descriptors made available since the device was notified last. */
  private news = 0;
  /** All descriptors, as they were before the driver's turn. */
  private before: Uint8Array = new Uint8Array(0);

  constructor(place: RingPlace) {
    const { SIZE } = PVIRTQ_EVENT_SUPPRESS;
    super(place, { desc: pvirtqDescBytes(place.setup.size), driver: SIZE, device: SIZE });
    this.avail = { index: 0, wrap: 1 };
    this.used = { index: 0, wrap: 1 };
    this.news = 0;
    if (!this.isLost) this.before = this.copy();
  }

  lookDriver(): void {
    if (this.isLost || !this.place.inTurns) return;
    this.compareExposed();
    if (this.isAvailable(this.avail)) this.takeLists();
    if (!this.isLost && !this.isAvailable(this.avail)) this.judgeMarks();
  }

  private takeLists(): void {
    const report = this.inspect({ layout: 'packed', lastAvail: this.avail, used: this.used });
    for (const element of report.pending) {
      this.expose(element);
      this.avail = this.behind(this.avail, element.slots);
      this.news += element.slots;
      if (element.complete && element.slots > 0) continue;
      this.isLost = true;
      return;
    }
    // What looks available and is in no list can be followed no further.
    this.isLost = report.pending.length === 0;
    this.place.verdict.keep('ring.packed.wrap-counter');
  }

  /** A descriptor that was written, and says neither way that it is available. */
  private judgeMarks(): void {
    const { index, wrap } = this.avail;
    // In a full ring it is the first of what is under way.
    if (this.isUnderWay(index) || !this.isWritten(index)) return;
    const [avail, used] = this.marks(index);
    const message = `descriptor ${index} is written with AVAIL ${avail} and USED ${used}, want AVAIL ${wrap} and USED ${1 - wrap}`;
    this.break('ring.packed.wrap-counter', message);
    this.isLost = true;
  }

  lookDevice(): Used[] {
    const list: Used[] = [];
    if (this.isLost || !this.place.inTurns) return list;
    while (list.length < this.size && this.isUsed(this.used)) {
      const at = this.desc + this.used.index * PVIRTQ_DESC.SIZE;
      const id = this.view.getUint16(at + PVIRTQ_DESC.id, true);
      const length = this.view.getUint32(at + PVIRTQ_DESC.len, true);
      const written = this.used.index;
      // In order, one used descriptor stands for a batch: those that were made available before it are used, too.
      const batch = this.inOrder ? this.upTo(id) : [id];
      for (const one of batch) {
        const exposed = this.take(one);
        list.push({ id: one, length, idAt: at + PVIRTQ_DESC.id, lengthAt: at + PVIRTQ_DESC.len, exposed });
        this.isLost ||= exposed === undefined;
        if (exposed !== undefined) this.used = this.behind(this.used, exposed.element.slots);
      }
      // What the device wrote over a buffer that is still under way is not for the driver to keep.
      this.forgetWords(written);
      if (this.isLost) break;
    }
    this.before = this.copy();
    return list;
  }

  notified(data: number | undefined): void {
    this.lookDriver();
    if (this.isLost || !this.place.inTurns) return;
    if (data !== undefined) {
      const [index, wrap] = [notifiedNextOff(data), notifiedNextWrap(data)];
      const holds = index === this.avail.index && wrap === this.avail.wrap;
      const message = `the notification says descriptor ${index} wrap ${wrap}, want ${this.avail.index} wrap ${this.avail.wrap}`;
      this.judge('drv.packed.desc-table.3', holds, message);
    }
    const isAwaited = this.isAwaited();
    const message = `notified although ${this.suppression()}`;
    this.judge('ring.packed.notify-unwanted', isAwaited || this.news === 0, message);
    if (isAwaited) this.place.verdict.keep('ring.packed.notify-missing');
    this.news = 0;
  }

  turnOver(): void {
    this.lookDriver();
    if (this.isLost || !this.place.inTurns || this.news === 0) return;
    const isAwaited = this.isAwaited();
    const message = `not notified of ${this.news} descriptors, and ${this.suppression()}`;
    this.judge('ring.packed.notify-missing', !isAwaited, message);
    if (!isAwaited) this.place.verdict.keep('ring.packed.notify-unwanted');
    this.news = 0;
  }

  /** Whether the driver wrote a descriptor's flags in its turn. */
  private isWritten(index: number): boolean {
    const at = index * PVIRTQ_DESC.SIZE + PVIRTQ_DESC.flags;
    const { u8 } = this.place.space.memory;
    return [at, at + 1].some((byte) => u8[this.desc + byte] !== this.before[byte]);
  }

  private copy(): Uint8Array {
    return this.place.space.memory.u8.slice(this.desc, this.desc + pvirtqDescBytes(this.size));
  }

  /** Ids of what was made available, up to one of them. */
  private upTo(id: number): number[] {
    const ids = [...this.exposed.keys()];
    return ids.slice(0, ids.indexOf(id) + 1);
  }

  /** virtio 1.4 §2.8.10: what the device asked for. */
  private isAwaited(): boolean {
    const { flags, index, wrap } = this.event();
    if (flags === RING_EVENT_FLAGS.DISABLE) return false;
    if (flags !== RING_EVENT_FLAGS.DESC || !this.hasEvents) return true;
    const event = wrap === this.avail.wrap ? index : index - this.size;
    const back = this.avail.index - event;
    return back > 0 && back <= this.news;
  }

  private event(): { flags: number; index: number; wrap: number } {
    const desc = this.view.getUint16(this.device + PVIRTQ_EVENT_SUPPRESS.desc, true);
    const flags = this.view.getUint16(this.device + PVIRTQ_EVENT_SUPPRESS.flags, true);
    return {
      flags: flags & PVIRTQ_EVENT_MASK.desc_event_flags,
      index: desc & PVIRTQ_EVENT_MASK.desc_event_off,
      wrap: (desc & PVIRTQ_EVENT_MASK.desc_event_wrap) === 0 ? 0 : 1,
    };
  }

  private suppression(): string {
    const { flags, index, wrap } = this.event();
    if (flags === RING_EVENT_FLAGS.DISABLE) return 'the device’s event suppression says DISABLE';
    if (flags === RING_EVENT_FLAGS.ENABLE) return 'the device’s event suppression says ENABLE';
    return `the device’s event suppression says descriptor ${index} wrap ${wrap}`;
  }

  private isAvailable({ index, wrap }: Position): boolean {
    const [avail, used] = this.marks(index);
    return avail === wrap && used !== wrap;
  }

  private isUsed({ index, wrap }: Position): boolean {
    const [avail, used] = this.marks(index);
    return avail === wrap && used === wrap;
  }

  private marks(index: number): readonly [avail: number, used: number] {
    const flags = this.view.getUint16(this.desc + index * PVIRTQ_DESC.SIZE + PVIRTQ_DESC.flags, true);
    return [(flags & VIRTQ_DESC_F.AVAIL) === 0 ? 0 : 1, (flags & VIRTQ_DESC_F.USED) === 0 ? 0 : 1];
  }

  private behind({ index, wrap }: Position, slots: number): Position {
    const next = index + slots;
    return next < this.size ? { index: next, wrap } : { index: next - this.size, wrap: wrap === 1 ? 0 : 1 };
  }

  protected slotsOf({ position, slots }: PendingElement): number[] {
    return Array.from({ length: slots }, (_, at) => (position + at) % this.size);
  }

  protected judgeLayout(): void {
    this.place.verdict.keep('drv.packed.alignment.1');
    this.inspect({ layout: 'packed', lastAvail: { index: 0, wrap: 1 }, used: { index: 0, wrap: 1 } });
  }
}
