import type { PciHost } from '@ringwire/pci';
import { MESSAGE, messagesAt, type ThreadPlace, WORD } from './thread-words.js';

const TWO_32 = 0x1_0000_0000;

/**
 * What a device in a thread of its own does to the machine: interrupt messages, the level of its line, BARs that move, as
 * words for its host to find. A message that waits already is not put twice.
 */
export class ThreadEvents implements PciHost {
  private readonly words: Int32Array;
  private readonly slots: number;
  private readonly end: number;
  /** Slots that hold a message, waiting or sent before. */
  private used: number;

  constructor(place: ThreadPlace) {
    this.words = place.words;
    this.slots = messagesAt(place);
    this.end = this.slots + place.messages * MESSAGE.SIZE;
    this.used = this.slots;
  }

  sendMessage(addressLow: number, addressHigh: number, data: number): void {
    const slot = this.slotOf(addressLow | 0, addressHigh | 0, data | 0);
    if (slot < 0) Atomics.add(this.words, WORD.MESSAGES_LOST, 1);
    else if (Atomics.exchange(this.words, slot + MESSAGE.PENDING, 1) !== 0) return;
    this.tell();
  }

  setIntx(asserted: boolean): void {
    Atomics.store(this.words, WORD.LEVEL, asserted ? 1 : 0);
    this.tell();
  }

  barMoved(bar: number, address: number): void {
    const { words } = this;
    Atomics.store(words, WORD.BARS + bar * 2, address < 0 ? -1 : (address % TWO_32) | 0);
    Atomics.store(words, WORD.BARS + bar * 2 + 1, address < 0 ? -1 : Math.floor(address / TWO_32));
    this.tell();
  }

  private tell(): void {
    Atomics.add(this.words, WORD.EVENTS, 1);
    Atomics.notify(this.words, WORD.EVENTS);
  }

  /** The slot of a message, or one that is free for it; -1 when all wait. A slot's contents change only while it is free. */
  private slotOf(low: number, high: number, data: number): number {
    const { words } = this;
    let free = -1;
    for (let slot = this.slots; slot < this.used; slot += MESSAGE.SIZE) {
      const isSame =
        words[slot + MESSAGE.ADDRESS_LOW] === low &&
        words[slot + MESSAGE.ADDRESS_HIGH] === high &&
        words[slot + MESSAGE.DATA] === data;
      if (isSame) return slot;
      if (free < 0 && Atomics.load(words, slot + MESSAGE.PENDING) === 0) free = slot;
    }
    if (this.used < this.end) {
      free = this.used;
      this.used += MESSAGE.SIZE;
    }
    if (free < 0) return -1;
    words[free + MESSAGE.ADDRESS_LOW] = low;
    words[free + MESSAGE.ADDRESS_HIGH] = high;
    words[free + MESSAGE.DATA] = data;
    return free;
  }
}
