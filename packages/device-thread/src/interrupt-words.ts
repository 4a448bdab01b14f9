import { type ControlLayout, SLOT } from './control-layout.js';
import { ParkingSpot } from './parking-spot.js';

// Words from `ControlLayout.interrupts`: written by the device's side, and from the second line on by the driver's.
const RAISED = 0;
const LEVEL = 1;
const RISES = 2;
const TOLD_LEVEL = 16;
const TOLD_RISES = 17;
/** Looks at a message that is being written: a handful of stores. */
const READ_TRIES = 1000;

/** What a driver's side does about interrupts. */
export interface InterruptHandlers {
  /** An MSI-X message. Several of one vector that nobody took meanwhile are one, with what the last one says. */
  message?(addressLow: number, addressHigh: number, data: number, vector: number): void;
  /** The level of the interrupt line, MMIO's or the PCI pin, changed. */
  level?(asserted: boolean): void;
}

/** Interrupts as the device's thread raises them. */
export class InterruptRaiser {
  private readonly words: Int32Array;
  private readonly layout: ControlLayout;
  private readonly spot: ParkingSpot;

  constructor(words: Int32Array, layout: ControlLayout) {
    this.words = words;
    this.layout = layout;
    this.spot = new ParkingSpot(words, layout.driverSpot);
  }

  message(addressLow: number, addressHigh: number, data: number, vector: number): void {
    const { words } = this;
    const slot = this.layout.slots + vector * SLOT.WORDS;
    // Odd while it is being written. Only one thread writes: the device's, or once that is dead its owner's.
    const sequence = Atomics.load(words, slot + SLOT.SEQUENCE) | 1;
    Atomics.store(words, slot + SLOT.SEQUENCE, sequence);
    Atomics.store(words, slot + SLOT.LOW, addressLow | 0);
    Atomics.store(words, slot + SLOT.HIGH, addressHigh | 0);
    Atomics.store(words, slot + SLOT.DATA, data | 0);
    Atomics.store(words, slot + SLOT.SEQUENCE, (sequence + 1) | 0);
    Atomics.add(words, slot + SLOT.RAISED, 1);
    this.tell();
  }

  level(asserted: boolean): void {
    const at = this.layout.interrupts;
    const before = Atomics.exchange(this.words, at + LEVEL, asserted ? 1 : 0);
    // A fall and a rise between two looks of the driver's side is an event all the same.
    if (asserted && before === 0) Atomics.add(this.words, at + RISES, 1);
    this.tell();
  }

  /** The thread that raised before is dead: finish what it may have left half written. */
  mend(): void {
    const { words, layout } = this;
    for (let vector = 0; vector < layout.vectors; vector++) {
      const slot = layout.slots + vector * SLOT.WORDS;
      if ((Atomics.load(words, slot + SLOT.SEQUENCE) & 1) === 0) continue;
      Atomics.add(words, slot + SLOT.SEQUENCE, 1);
      Atomics.add(words, slot + SLOT.RAISED, 1);
    }
    this.tell();
  }

  private tell(): void {
    Atomics.store(this.words, this.layout.interrupts + RAISED, 1);
    this.spot.wake();
  }
}

/** Interrupts as the driver's side takes them; one thread at a time. */
export class InterruptTaker {
  handlers: InterruptHandlers;
  private readonly words: Int32Array;
  private readonly layout: ControlLayout;

  constructor(words: Int32Array, layout: ControlLayout, handlers: InterruptHandlers) {
    this.words = words;
    this.layout = layout;
    this.handlers = handlers;
  }

  /** Whether {@link take} would find something. */
  get isRaised(): boolean {
    return Atomics.load(this.words, this.layout.interrupts + RAISED) !== 0;
  }

  /** Call the handlers for what was raised since the last call. @returns handlers called */
  take(): number {
    const { words, layout } = this;
    const at = layout.interrupts;
    if (Atomics.load(words, at + RAISED) === 0) return 0;
    // Cleared first: what is raised while we look sets it again.
    Atomics.store(words, at + RAISED, 0);
    let taken = this.takeLevel(at);
    for (let vector = 0; vector < layout.vectors; vector++) {
      const slot = layout.slots + vector * SLOT.WORDS;
      const raised = Atomics.load(words, slot + SLOT.RAISED);
      if (raised === Atomics.load(words, slot + SLOT.TAKEN)) continue;
      // Before the message is read: one that comes meanwhile counts again.
      Atomics.store(words, slot + SLOT.TAKEN, raised);
      this.deliver(slot, vector);
      taken++;
    }
    return taken;
  }

  private takeLevel(at: number): number {
    const { words, handlers } = this;
    const rises = Atomics.load(words, at + RISES);
    const level = Atomics.load(words, at + LEVEL);
    const told = Atomics.load(words, at + TOLD_LEVEL);
    const isNewRise = rises !== Atomics.load(words, at + TOLD_RISES);
    Atomics.store(words, at + TOLD_RISES, rises);
    Atomics.store(words, at + TOLD_LEVEL, level);
    if (level === told && !(isNewRise && level === 1)) return 0;
    if (level === told) handlers.level?.(false);
    handlers.level?.(level === 1);
    return 1;
  }

  private deliver(slot: number, vector: number): void {
    const { words } = this;
    for (let tries = READ_TRIES; tries > 0; tries--) {
      const sequence = Atomics.load(words, slot + SLOT.SEQUENCE);
      const low = Atomics.load(words, slot + SLOT.LOW) >>> 0;
      const high = Atomics.load(words, slot + SLOT.HIGH) >>> 0;
      const data = Atomics.load(words, slot + SLOT.DATA) >>> 0;
      if ((sequence & 1) !== 0 || Atomics.load(words, slot + SLOT.SEQUENCE) !== sequence) continue;
      this.handlers.message?.(low, high, data, vector);
      return;
    }
    // The writer stands still in the middle: it will announce what it writes, or be found dead, and the slot mended.
    Atomics.sub(words, slot + SLOT.TAKEN, 1);
  }
}
