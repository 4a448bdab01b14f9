import type { PendingElement } from '@ringwire/ring-oracle';
import {
  notifiedAvailIdx,
  VIRTQ_AVAIL,
  VIRTQ_DESC,
  VIRTQ_USED,
  VIRTQ_USED_ELEM,
  VIRTQ_USED_F,
  virtqAvailBytes,
  virtqAvailEventAt,
  virtqDescBytes,
  virtqUsedBytes,
} from '@ringwire/virtio-spec';
import { type RingPlace, RingWatch, type Used } from './ring-watch.js';

const TWO_16 = 0x1_0000;
const distance = (from: number, to: number): number => (to - from + TWO_16) % TWO_16;

/** A split virtqueue, watched. */
export class SplitWatch extends RingWatch {
  protected readonly layout = 'split' as const;
  /** Available index up to which was looked at, and up to which the device was notified. */
  private avail = 0;
  private told = 0;
  private used = 0;

  constructor(place: RingPlace) {
    const { size } = place.setup;
    super(place, { desc: virtqDescBytes(size), driver: virtqAvailBytes(size), device: virtqUsedBytes(size) });
    if (this.isLost) return;
    this.avail = 0;
    this.told = 0;
    this.used = 0;
    const flags = this.view.getUint16(this.device + VIRTQ_USED.flags, true);
    this.judge(
      'drv.split.avail-notif-suppression.1',
      flags === 0,
      `flags of the used ring are ${flags} at first, want 0`,
    );
  }

  lookDriver(): void {
    if (this.isLost || !this.place.inTurns) return;
    this.compareExposed();
    const idx = this.view.getUint16(this.driver + VIRTQ_AVAIL.idx, true);
    const ahead = distance(this.avail, idx);
    if (ahead === 0) return;
    const report = this.inspect({ layout: 'split', lastAvail: { index: this.avail }, used: { index: this.used } });
    if (ahead > this.size) {
      this.isLost = true;
      return;
    }
    const { verdict } = this.place;
    verdict.keep('drv.split.avail-ring.1');
    verdict.keep(this.hasEvents ? 'drv.split.used-notif-suppression.3' : 'drv.split.used-notif-suppression.1');
    this.avail = idx;
    for (const element of report.pending) this.expose(element);
  }

  lookDevice(): Used[] {
    const list: Used[] = [];
    if (this.isLost || !this.place.inTurns) return list;
    const idx = this.view.getUint16(this.device + VIRTQ_USED.idx, true);
    for (; this.used !== idx && list.length < this.size; this.used = (this.used + 1) % TWO_16) {
      const at = this.device + VIRTQ_USED.ring + (this.used % this.size) * VIRTQ_USED.ELEM_SIZE;
      // In order, a batch has an entry for all of its buffers, and those behind it are not written.
      const first = this.inOrder ? this.exposed.keys().next().value : undefined;
      const id = first ?? this.view.getUint32(at + VIRTQ_USED_ELEM.id, true);
      const length = this.view.getUint32(at + VIRTQ_USED_ELEM.len, true);
      list.push({
        id,
        length,
        idAt: at + VIRTQ_USED_ELEM.id,
        lengthAt: at + VIRTQ_USED_ELEM.len,
        exposed: this.take(id),
      });
    }
    return list;
  }

  notified(data: number | undefined): void {
    this.lookDriver();
    if (this.isLost || !this.place.inTurns) return;
    if (data !== undefined) {
      const idx = notifiedAvailIdx(data);
      this.judge(
        'ring.split.notify-data',
        idx === this.avail,
        `the notification says available index ${idx}, want ${this.avail}`,
      );
    }
    const news = distance(this.told, this.avail);
    if (this.hasEvents) {
      const message = `notified with available index ${this.avail}, avail_event is ${this.availEvent}`;
      this.judge('drv.split.avail-notif-suppression.7', this.isAwaited(news), message);
      if (this.isAwaited(news)) this.place.verdict.keep('drv.split.avail-notif-suppression.6');
    } else {
      this.judge('drv.split.avail-notif-suppression.3', !this.isHushed, 'notified while flags of the used ring are 1');
      if (!this.isHushed) this.place.verdict.keep('drv.split.avail-notif-suppression.4');
    }
    this.told = this.avail;
  }

  turnOver(): void {
    this.lookDriver();
    if (this.isLost || !this.place.inTurns) return;
    const news = distance(this.told, this.avail);
    if (news > 0 && this.hasEvents) {
      const message = `not notified at available index ${this.avail}, avail_event is ${this.availEvent}`;
      this.judge('drv.split.avail-notif-suppression.6', !this.isAwaited(news), message);
      if (!this.isAwaited(news)) this.place.verdict.keep('drv.split.avail-notif-suppression.7');
    } else if (news > 0) {
      const message = `not notified at available index ${this.avail}, flags of the used ring are 0`;
      this.judge('drv.split.avail-notif-suppression.4', this.isHushed, message);
      if (this.isHushed) this.place.verdict.keep('drv.split.avail-notif-suppression.3');
    }
    this.told = this.avail;
  }

  private get isHushed(): boolean {
    return (this.view.getUint16(this.device + VIRTQ_USED.flags, true) & VIRTQ_USED_F.NO_NOTIFY) !== 0;
  }

  private get availEvent(): number {
    return this.view.getUint16(this.device + virtqAvailEventAt(this.size), true);
  }

  /** Whether the entry that the device waits for is among the last `news`. virtio 1.4 §2.7.10 */
  private isAwaited(news: number): boolean {
    const back = distance(this.availEvent, this.avail);
    return back > 0 && back <= news;
  }

  protected slotsOf({ id, slots }: PendingElement): number[] {
    const list: number[] = [];
    for (let at = id; list.length < slots; ) {
      list.push(at);
      at = this.view.getUint16(this.desc + at * VIRTQ_DESC.SIZE + VIRTQ_DESC.next, true) % this.size;
    }
    return list;
  }

  protected judgeLayout(): void {
    this.place.verdict.keep('drv.split.alignment.1');
    this.inspect({ layout: 'split', lastAvail: { index: 0 }, used: { index: 0 } });
  }
}
