import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import type { PciAccess } from '../../access.js';
import { isBreakdown } from '../../breakdown.js';
import { type DmaMemory, guestDma } from '../../dma-memory.js';
import { type IxgbePf, openIxgbePf } from '../pf-driver.js';
import type { MailboxEntry } from '../pf-log.js';
import type { IxgbePfSetup } from '../pf-setup.js';
import { MESSAGES } from './vf-stage.js';

const RAM = 0x1_0000_0000;
const RAM_BYTES = 0x80_0000;
const memory = HostMemory.create(RAM_BYTES);

/** Offsets of the datasheet (82599, §8.2.3), written down here a second time: a test is not to share the driver's. */
export const AT = {
  ctrl: 0x0,
  ctrlExt: 0x18,
  eicr: 0x800,
  mbicr: 0x710,
  vflre: [0x600, 0x1c0],
  vflrec: [0x700, 0x704],
  rdrxctl: 0x2f00,
  wqbrRx: 0x2fb0,
  autoc: 0x42a0,
  links: 0x42a4,
  mailbox: 0x4b00,
  vfre: 0x51e0,
  wqbrTx: 0x8130,
  vfte: 0x8110,
  lvmmcTx: 0x8108,
  rttdqsel: 0x4904,
  rttbcnrc: 0x4984,
  secrxstat: 0x8d04,
  ral: 0xa200,
  mpsar: 0xa600,
  vml2flt: 0xf000,
  vmvir: 0x8000,
  spoof: 0x8200,
  vlvf: 0xf100,
  vlvfb: 0xf200,
  uta: 0xf400,
  mta: 0x5200,
  eec: 0x1_0010,
  memory: 0x1_3000,
} as const;

/** A physical function in front of a test: registers that do what the datasheet says, and virtual functions' ends of mail. */
export class ScriptedPf implements PciAccess {
  readonly space: GuestMemory;
  readonly pages: PageAllocator = new PageAllocator(RAM, RAM_BYTES);
  readonly dma: DmaMemory;
  readonly registers: Map<number, number> = new Map();
  readonly writes: [number, number][] = [];
  isGone = false;
  /** Virtual functions that keep the memory of their mailbox until it is taken from them. */
  readonly keepers: Set<number> = new Set();
  /** Virtual functions for which a message lies there. */
  readonly told: Set<number> = new Set();
  /** Values of RTTBCNRC by queue. */
  readonly rates: Map<number, number> = new Map();
  private readonly config: DataView = new DataView(new ArrayBuffer(0x100));
  private readonly bars: readonly number[] = [0x8_0000, 0, 0, 0, 0x4000, 0];

  constructor(device = 0x10fb) {
    memory.engine.fill(0, 0, memory.size);
    this.space = new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host: 0 }]);
    this.dma = guestDma(this.space, this.pages);
    const { config } = this;
    config.setUint16(0, 0x8086, true);
    config.setUint16(2, device, true);
    this.bars.forEach((size, bar) => {
      if (size > 0) config.setUint32(0x10 + 4 * bar, 0xe000_0000 + bar * 0x10_0000, true);
    });
    config.setUint16(6, 0x10, true);
    config.setUint8(0x34, 0x70);
    config.setUint8(0x70, 0x11);
    config.setUint16(0x72, 63, true);
    config.setUint32(0x74, 4, true);
    this.reset();
  }

  configRead(offset: number, size: number): number {
    if (size === 1) return this.config.getUint8(offset);
    return size === 2 ? this.config.getUint16(offset, true) : this.config.getUint32(offset, true);
  }

  configWrite(offset: number, size: number, value: number): void {
    if (offset >= 0x10 && offset < 0x28) {
      const bytes = this.bars[(offset - 0x10) >> 2]!;
      this.config.setUint32(offset, value & (bytes === 0 ? 0 : -bytes), true);
    } else if (size === 2) this.config.setUint16(offset, value, true);
    else if (size === 4) this.config.setUint32(offset, value, true);
  }

  barRead(bar: number, offset: number, size: number): number {
    if (size !== 4 || offset % 4 !== 0) throw new Error(`BAR ${bar}: ${size} bytes read at ${offset}`);
    if (this.isGone) return 0xffff_ffff;
    return bar === 0 ? this.get(offset) : 0;
  }

  barWrite(bar: number, offset: number, size: number, value: number): void {
    if (size !== 4 || offset % 4 !== 0) throw new Error(`BAR ${bar}: ${size} bytes written at ${offset}`);
    if (this.isGone || bar !== 0) return;
    this.writes.push([offset, value]);
    const isClearing =
      offset === AT.eicr || isIn(offset, AT.mbicr, 4) || isIn(offset, AT.wqbrRx, 4) || isIn(offset, AT.wqbrTx, 4);
    if (offset === AT.ctrl) {
      if ((value & 0x0400_0000) !== 0) this.reset();
    } else if (isClearing) this.set(offset, this.get(offset) & ~value);
    else if (offset === AT.vflrec[0] || offset === AT.vflrec[1]) {
      const at = AT.vflre[AT.vflrec.indexOf(offset as 0x700)]!;
      this.set(at, this.get(at) & ~value);
    } else if (isIn(offset, AT.mailbox, 64)) this.writeMailbox((offset - AT.mailbox) / 4, value);
    else if (offset === AT.rttbcnrc) this.rates.set(this.get(AT.rttdqsel), value);
    else this.set(offset, value);
  }

  get(offset: number): number {
    return this.registers.get(offset) ?? 0;
  }

  set(offset: number, value: number): void {
    this.registers.set(offset, value >>> 0);
  }

  /** A virtual function sends a message. */
  say(vf: number, ...words: number[]): void {
    for (let i = 0; i < 16; i++) this.set(AT.memory + 64 * vf + 4 * i, words[i] ?? 0);
    const at = AT.mbicr + 4 * (vf >> 4);
    this.set(at, this.get(at) | (1 << (vf & 15)));
  }

  /** What lies in a mailbox, when the physical function has written there. */
  heard(vf: number): number[] | undefined {
    if (!this.told.delete(vf)) return undefined;
    return Array.from({ length: 16 }, (_, i) => this.get(AT.memory + 64 * vf + 4 * i));
  }

  /** A virtual function is reset by PCI. */
  resetVf(vf: number): void {
    const at = AT.vflre[vf >> 5]!;
    this.set(at, this.get(at) | (1 << (vf & 31)));
  }

  /** Bit of a row that has one for each pool. */
  poolBit(row: number, pool: number): boolean {
    return ((this.get(row + 4 * (pool >> 5)) >>> (pool & 31)) & 1) === 1;
  }

  private reset(): void {
    this.registers.clear();
    this.set(AT.eec, 0x300);
    this.set(AT.rdrxctl, 0x8);
    this.set(AT.secrxstat, 0x1);
    this.set(AT.links, 0x7000_0080);
    // 52:54:00:00:00:ff, as the EEPROM has it.
    this.set(AT.ral, 0x0000_5452);
    this.set(AT.ral + 4, 0x8000_ff00);
  }

  private writeMailbox(vf: number, value: number): void {
    const at = AT.mailbox + 4 * vf;
    if ((value & 0x10) !== 0) this.keepers.delete(vf);
    if ((value & 0x08) !== 0 && !this.keepers.has(vf)) this.set(at, 0x08);
    if ((value & 0x03) !== 0) {
      if (this.get(at) !== 0x08) throw new Error(`mailbox ${vf} is used without being held`);
      this.set(at, 0);
    }
    if ((value & 0x01) !== 0) this.told.add(vf);
  }
}

const isIn = (offset: number, at: number, count: number): boolean => offset >= at && offset < at + 4 * count;

/** A driver in front of a scripted card, and what it told. */
export interface PfStage {
  readonly card: ScriptedPf;
  readonly driver: IxgbePf;
  readonly told: string[];
  readonly entries: MailboxEntry[];
  /** A virtual function's request, and the answer to it. */
  ask(vf: number, ...words: number[]): number[];
  /** Milliseconds. */
  time: number;
}

export function pfStage(change: Partial<IxgbePfSetup> = {}, card: ScriptedPf = new ScriptedPf()): PfStage {
  const told: string[] = [];
  const entries: MailboxEntry[] = [];
  const clock = { time: 0 };
  const driver = openIxgbePf({
    access: card,
    dma: card.dma,
    messages: MESSAGES,
    now: () => clock.time,
    queueSize: 64,
    vfs: 4,
    patience: { tries: 20 },
    random: () => 0.5,
    events: {
      frame: () => {},
      mailbox: (entry) => entries.push(entry),
      misbehaved: (vf, what) => told.push(`VF ${vf}, ${what}`),
      link: (isUp) => told.push(isUp ? 'up' : 'down'),
      broken: (why, again) => told.push(`${again ? 'again' : 'over'}: ${why.message}`),
    },
    ...change,
  });
  if (isBreakdown(driver)) throw new Error(driver.message);
  const ask = (vf: number, ...words: number[]): number[] => {
    card.say(vf, ...words);
    driver.interrupt(1);
    driver.poll();
    const answer = card.heard(vf);
    if (answer === undefined) throw new Error('no answer');
    return answer;
  };
  return Object.assign(clock, { card, driver, told, entries, ask });
}
