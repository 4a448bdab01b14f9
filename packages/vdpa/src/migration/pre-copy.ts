import type { VdpaDevice } from '../vdpa-device.js';
import { type GuestPages, PAGE_BYTES, PageSet } from './guest-pages.js';
import { PAGES, RECORD_TYPE } from './record-layout.js';
import type { WrittenSource } from './written-sources.js';

/** Pages of one record: 64 KiB. */
const RUN_PAGES = 16;
const TWO_32 = 0x1_0000_0000;

/** When copying a running guest's memory ends. */
export interface PreCopyRules {
  /** Rounds at most, the first one, which copies everything, included; 30 unless given. */
  readonly rounds: number;
  /** So few pages that were written meanwhile are left for when the guest stands still; 32 unless given. */
  readonly pagesLeft: number;
  /** After so many rounds, one after the other, none of which left fewer pages than the one before; 3 unless given. */
  readonly patience: number;
}

/** Why copying ended: few pages are left; the guest writes as fast as they are copied; or that were all rounds. */
export type PreCopyEnd = 'few' | 'no progress' | 'limit';

/** What a round copied, and what was written meanwhile. */
export interface PreCopyRound {
  readonly pages: number;
  readonly zeros: number;
  /** Pages that were written while it lasted. */
  readonly written: number;
}

export interface PreCopyConfig {
  readonly ram: GuestPages;
  readonly device: VdpaDevice;
  readonly written: readonly WrittenSource[];
  readonly rules: PreCopyRules;
  readonly send: (type: number, ...parts: readonly Uint8Array[]) => void;
}

/** Copies a running guest's memory, round after round, each one what was written in the one before. */
export class PreCopy {
  readonly rounds: PreCopyRound[] = [];
  endedBy: PreCopyEnd | undefined = undefined;
  private readonly config: PreCopyConfig;
  private readonly todo: PageSet;
  private copied = 0;
  private zeros = 0;
  private stubborn = 0;

  constructor(config: PreCopyConfig) {
    this.config = config;
    this.todo = new PageSet(config.ram.count);
    this.todo.addAll();
  }

  /**
   * Copy some pages.
   * @param budget pages at most
   * @returns pages that were copied; {@link endedBy} says when there are no more rounds
   */
  turn(budget: number): number {
    if (this.endedBy !== undefined) return 0;
    const done = this.copy(budget);
    if (this.todo.size === 0) this.endRound();
    return done;
  }

  /** Nobody writes any more: everything that is left, at once. @returns pages */
  finish(): number {
    this.collect();
    return this.copy(Number.POSITIVE_INFINITY);
  }

  private endRound(): void {
    const { rules } = this.config;
    const before = this.rounds.at(-1)?.written ?? Number.POSITIVE_INFINITY;
    this.collect();
    const written = this.todo.size;
    this.rounds.push({ pages: this.copied, zeros: this.zeros, written });
    this.copied = 0;
    this.zeros = 0;
    this.stubborn = written < before ? 0 : this.stubborn + 1;
    if (written <= rules.pagesLeft) this.endedBy = 'few';
    else if (this.stubborn >= rules.patience) this.endedBy = 'no progress';
    else if (this.rounds.length >= rules.rounds) this.endedBy = 'limit';
  }

  /** Asked first, copied afterwards: what is written behind the question is in the next answer. */
  private collect(): void {
    const { ram, device, written } = this.config;
    for (const source of [() => device.takeDirty(), ...written])
      for (const { host, bytes } of source()) ram.gather(host, bytes, this.todo);
  }

  private copy(budget: number): number {
    const { ram } = this.config;
    let done = 0;
    while (done < budget) {
      const first = this.todo.take();
      if (first < 0) break;
      const isZero = ram.isZero(first);
      let count = 1;
      while (count < Math.min(RUN_PAGES, budget - done) && this.follows(first, count, isZero)) count++;
      this.send(first, count, isZero);
      done += count;
    }
    return done;
  }

  /** Whether the page behind a run is to be copied as well, lies behind it, and is of its kind. It is taken then. */
  private follows(first: number, count: number, isZero: boolean): boolean {
    const { ram } = this.config;
    const page = first + count;
    if (page >= ram.count || ram.gpaOf(page) !== ram.gpaOf(first) + count * PAGE_BYTES) return false;
    if (ram.hostOf(page) !== ram.hostOf(first) + count * PAGE_BYTES) return false;
    return ram.isZero(page) === isZero && this.todo.remove(page);
  }

  private send(first: number, count: number, isZero: boolean): void {
    const { ram, send } = this.config;
    const head = new Uint8Array(PAGES.SIZE);
    const view = new DataView(head.buffer);
    const gpa = ram.gpaOf(first);
    view.setUint32(PAGES.gpa, gpa >>> 0, true);
    view.setUint32(PAGES.gpa + 4, Math.floor(gpa / TWO_32), true);
    view.setUint32(PAGES.count, count, true);
    if (isZero) this.zeros += count;
    else this.copied += count;
    const host = ram.hostOf(first);
    if (isZero) send(RECORD_TYPE.ZEROS, head);
    else send(RECORD_TYPE.PAGES, head, ram.memory.u8.subarray(host, host + count * PAGE_BYTES));
  }
}
