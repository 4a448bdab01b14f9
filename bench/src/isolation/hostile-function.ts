import { RX_QUEUE, TX_QUEUE, VF_REG, VFMAILBOX, vfRxAt, vfTxAt } from '@ringwire/nic-spec/ixgbe';
import {
  ADMIN_BUFFER,
  VB_ARM,
  VB_DOORBELL,
  VB_REG,
  VB_STATUS,
  VENDOR_B_BAR,
  VENDOR_B_COUNT,
} from '@ringwire/nic-spec/vendor-b';
import { PCI_CAP_ID, PCI_EXP, PCI_EXP_DEVICE_CONTROL } from '@ringwire/pci';
import type { AssignedFunction } from '@ringwire/sriov-nic';

import { DEVICE_STATUS } from '@ringwire/virtio-spec';
import { COMMON_CFG, VIRTIO_PCI_CFG_TYPE } from '@ringwire/virtio-spec/transport';
import type { CardFunction, CardMachine } from '../claims/card-machine.js';
import type { Station } from '../claims/station.js';
import type { Random } from './random.js';

const PAGE_BYTES = 4096;
const CAPABILITIES = 0x34;
const VENDOR_CAP = 9;
const MSIX_CONTROL = 2;
const MSIX_TABLE = 4;
const VECTOR_BYTES = 16;
/** What drivers never write, and devices have to withstand. */
const NASTY = [0, 1, 0xffff_ffff, 0x8000_0000, 0x7fff_ffff, 0xffff, 0x1_0000, 0xfffe_ffff, 0x0f00_0001] as const;

/** A card that a hostile function is one of. */
export interface HostileHome {
  readonly machine: CardMachine;
  /** By virtual function; a hostile one's is gone. */
  readonly stations: (Station | undefined)[];
  /** Bring a driver up on a function. */
  open(of: CardFunction): Station;
}

/** A guest that keeps no rule, with the function that it was given: registers, configuration, and its own RAM. */
export class HostileFunction {
  readonly of: CardFunction;
  readonly kind: CardFunction['kind'];
  private readonly card: HostileHome;
  private readonly random: Random;
  private access: AssignedFunction;
  private readonly ram: Uint32Array;
  private readonly notify: { readonly bar: number; readonly offset: number };

  /** @param vf which, with a driver that runs: from here on it is turned no more */
  constructor(card: HostileHome, vf: number, random: Random) {
    this.card = card;
    this.random = random;
    this.of = card.machine.guests[vf]!;
    this.kind = this.of.kind;
    this.access = card.machine.access(this.of);
    const { ramAt, ramBytes } = this.of;
    this.ram = card.machine.memory.u32.subarray(ramAt / 4, (ramAt + ramBytes) / 4);
    this.notify = this.findNotify();
    this.enable();
    card.stations[vf] = undefined;
  }

  /** Whether the function says by now that it cannot go on; an 82599 tells the physical one's driver instead. */
  get isBroken(): boolean {
    const { access, kind } = this;
    if (kind === 'virtio')
      return (access.barRead(0, COMMON_CFG.device_status.at, 1) & DEVICE_STATUS.DEVICE_NEEDS_RESET) !== 0;
    return kind === 'vendor-b' && (access.barRead(0, VB_REG.STATUS, 4) & VB_STATUS.FATAL) !== 0;
  }

  /** Function-level reset. */
  reset(): void {
    const control = this.capability(PCI_CAP_ID.PCI_EXPRESS) + PCI_EXP.DEVICE_CONTROL;
    this.access.configWrite(control, 2, PCI_EXP_DEVICE_CONTROL.INITIATE_FUNCTION_LEVEL_RESET);
  }

  /** As after power-on, with a driver that brought it up, and that does nothing any more. */
  revive(): void {
    this.reset();
    this.ram.fill(0);
    this.card.open(this.of);
    this.of.onMessage = () => {};
    this.access = this.card.machine.access(this.of);
    this.enable();
  }

  /** Any register of any BAR, read or written with anything, aligned or not. */
  register(): void {
    const { access, random } = this;
    const bar = random.below(8) === 0 ? random.below(6) : 0;
    const size = [1, 2, 4, 4, 4][random.below(5)]!;
    const offset = random.below(random.below(2) === 0 ? 0x100 : 0x6000);
    if (random.below(3) === 0) access.barRead(bar, offset, size);
    else access.barWrite(bar, offset, size, this.nasty() % 2 ** (8 * size));
  }

  /** All that its registers show. */
  registers(): Uint8Array {
    const words = Uint32Array.from({ length: 0x1000 }, (_, at) => this.access.barRead(0, 4 * at, 4));
    return new Uint8Array(words.buffer);
  }

  /** Any byte of configuration space. */
  config(): void {
    const { access, random } = this;
    // The Command register is left alone: a function that is not on the bus does no harm.
    access.configWrite(8 + random.below(0x200), 1, random.below(256));
  }

  /** All doorbells, with positions that are right or not. */
  kick(): void {
    const { access, random, kind } = this;
    const value = random.below(2) === 0 ? random.below(64) : this.nasty();
    if (kind === 'virtio')
      access.barWrite(this.notify.bar, this.notify.offset + 4 * random.below(3), 2, random.below(4));
    else if (kind === '82599') {
      const queue = random.below(4);
      const isSend = random.below(2) === 0;
      access.barWrite(0, isSend ? vfTxAt(queue, TX_QUEUE.TDT) : vfRxAt(queue, RX_QUEUE.RDT), 4, value);
    } else {
      const page = VENDOR_B_BAR.DOORBELLS + random.below(VENDOR_B_COUNT.PAGES) * VENDOR_B_BAR.DOORBELL_PAGE;
      const at = page + (random.below(2) === 0 ? VB_DOORBELL.SUBMISSION : VB_DOORBELL.COMPLETION);
      access.barWrite(0, at, 4, value);
      access.barWrite(0, at + 4, 4, (random.below(4) | (random.below(2) === 0 ? VB_ARM : 0)) >>> 0);
    }
  }

  /** Messages to whoever decides for the function: the mailbox, or the admin queue. Of virtio's: status and queue registers. */
  mail(): void {
    const { access, random, kind } = this;
    if (kind === '82599') {
      for (let word = 0; word < 4; word++)
        access.barWrite(0, VF_REG.VFMBMEM + 4 * word, 4, word === 0 ? random.below(16) : this.nasty());
      access.barWrite(0, VF_REG.VFMAILBOX, 4, [VFMAILBOX.REQ, VFMAILBOX.ACK, VFMAILBOX.VFU, 0][random.below(4)]!);
    } else if (kind === 'vendor-b') {
      const at = random.below(this.ram.length - ADMIN_BUFFER.SIZE / 4) & ~15;
      for (let word = 0; word < 8; word++) this.ram[at + word] = word === 0 ? random.below(32) : this.nasty();
      access.barWrite(0, VB_REG.ADMIN_ADDRESS, 4, at * 4);
      access.barWrite(0, VB_REG.ADMIN_ADDRESS_HIGH, 4, random.below(8) === 0 ? 9 : 1);
      access.barWrite(0, VB_REG.ADMIN_DOORBELL, 4, 1 + random.below(0xffff));
    } else access.barWrite(0, random.below(0x38), [1, 2, 4][random.below(3)]!, random.below(256));
  }

  /** Words of its RAM that are in use, rings among them, are something else. */
  scribble(words: number): void {
    const pages = this.pagesInUse();
    if (pages.length === 0) return;
    for (let n = 0; n < words; n++) {
      const page = pages[this.random.below(pages.length)]!;
      this.ram[(page * PAGE_BYTES) / 4 + this.random.below(PAGE_BYTES / 4)] = this.nasty();
    }
  }

  /** Upper halves of addresses lead where nothing is mapped. Guests' RAM is at 1 · 2^32; vendor B has a length beside them. */
  misaddress(): void {
    const least = this.kind === 'vendor-b' ? 0x1_0000 : 1;
    for (const page of this.pagesInUse()) {
      const first = (page * PAGE_BYTES) / 4;
      for (let at = first; at < first + PAGE_BYTES / 4; at++) {
        const word = this.ram[at]!;
        if ((word & 0xffff) === 1 && word >= least) this.ram[at] = word | 0x70;
      }
    }
  }

  /** A vector is masked, or not, or all of them; its message leads anywhere. */
  mask(): void {
    const { access, random } = this;
    const at = this.capability(PCI_CAP_ID.MSI_X);
    const table = access.configRead(at + MSIX_TABLE, 4);
    const offset = (table & ~7) + VECTOR_BYTES * random.below(4);
    access.barWrite(table & 7, offset + 12, 4, random.below(2));
    if (random.below(4) === 0) access.barWrite(table & 7, offset + 4 * random.below(3), 4, this.nasty());
    if (random.below(4) === 0) access.configWrite(at + MSIX_CONTROL, 2, [0, 0x8000, 0xc000, 0x4000][random.below(4)]!);
    if (this.kind === '82599') access.barWrite(0, VF_REG.VTEICS, 4, 7);
  }

  private nasty(): number {
    const { random } = this;
    return random.below(2) === 0 ? NASTY[random.below(NASTY.length)]! : random.below(2 ** 32);
  }

  private pagesInUse(): number[] {
    const words = PAGE_BYTES / 4;
    const pages: number[] = [];
    for (let page = 0; page < this.ram.length / words; page++)
      if (this.ram.subarray(page * words, (page + 1) * words).some((word) => word !== 0)) pages.push(page);
    return pages;
  }

  /** Memory accesses and bus mastering. */
  private enable(): void {
    this.access.configWrite(4, 2, 6);
  }

  private capability(id: number): number {
    for (const at of this.capabilities()) if (this.access.configRead(at, 1) === id) return at;
    throw new Error(`no capability ${id}`);
  }

  private capabilities(): number[] {
    const found: number[] = [];
    for (let at = this.access.configRead(CAPABILITIES, 1); at !== 0; at = this.access.configRead(at + 1, 1))
      found.push(at);
    return found;
  }

  /** virtio 1.4 §4.1.4: where doorbells are. */
  private findNotify(): { bar: number; offset: number } {
    for (const at of this.capabilities()) {
      const isIt =
        this.access.configRead(at, 1) === VENDOR_CAP &&
        this.access.configRead(at + 3, 1) === VIRTIO_PCI_CFG_TYPE.NOTIFY_CFG;
      if (isIt && this.kind === 'virtio')
        return { bar: this.access.configRead(at + 4, 1), offset: this.access.configRead(at + 8, 4) };
    }
    return { bar: 0, offset: 0 };
  }
}
