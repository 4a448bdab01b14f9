import {
  AUTOC,
  DMATXCTL,
  HLREG0,
  MAXFRS,
  PF_REG,
  PF_ROW,
  PF_STAT,
  RAH,
  rowAt,
  VLNCTRL,
} from '@ringwire/nic-spec/ixgbe';

/** Registers end here; the rest of the BAR is empty. */
const BYTES = 0x2_0000;
const ETHERNET_MOST = 1518;
const TAG_TYPE = 0x8100;
const PACKET_BUFFER = { RX_BYTES: 0x8_0000, TX_BYTES: 0x2_8000 } as const;
const TEN_GIGABIT_SFI = 0x0002_0000;

/**
 * What is in the registers of the physical function, 32 bits each; which of them there are. What they do is said elsewhere.
 * 82599 datasheet §8.2.3
 */
export class RegisterFile {
  private readonly words: Uint32Array = new Uint32Array(BYTES / 4);
  private readonly known: Uint8Array = new Uint8Array(BYTES / 4);

  constructor() {
    const mark = (at: number): void => {
      this.known[at >>> 2] = 1;
    };
    for (const at of Object.values(PF_REG)) mark(at);
    for (const at of Object.values(PF_STAT)) mark(at);
    for (const row of Object.values(PF_ROW)) for (let i = 0; i < row.count; i++) mark(rowAt(row, i));
  }

  /** Whether there is a register, at a multiple of 4 in the BAR. */
  has(at: number): boolean {
    return at < BYTES && this.known[at >>> 2] === 1;
  }

  /** @param at of a register that there is */
  get(at: number): number {
    return this.words[at >>> 2]!;
  }

  set(at: number, value: number): void {
    this.words[at >>> 2] = value;
  }

  /** Values after a reset. @param mac the address that the card came with */
  reset(mac: Uint8Array): void {
    this.words.fill(0);
    this.set(PF_REG.VLNCTRL, TAG_TYPE & VLNCTRL.VET_MASK);
    this.set(PF_REG.HLREG0, HLREG0.TXCRCEN | HLREG0.RXCRCSTRP | HLREG0.TXPADEN);
    this.set(PF_REG.MAXFRS, ETHERNET_MOST << MAXFRS.MFS_SHIFT);
    this.set(PF_REG.DMATXCTL, (TAG_TYPE << DMATXCTL.VT_SHIFT) >>> 0);
    this.set(PF_REG.AUTOC, AUTOC.LMS_10G_SFI << AUTOC.LMS_SHIFT);
    this.set(PF_REG.AUTOC2, TEN_GIGABIT_SFI);
    this.set(rowAt(PF_ROW.RXPBSIZE, 0), PACKET_BUFFER.RX_BYTES);
    this.set(rowAt(PF_ROW.TXPBSIZE, 0), PACKET_BUFFER.TX_BYTES);
    for (let i = 0; i < PF_ROW.PFMBIMR.count; i++) this.set(rowAt(PF_ROW.PFMBIMR, i), 0xffff_ffff);
    this.set(rowAt(PF_ROW.RAL, 0), (mac[0]! | (mac[1]! << 8) | (mac[2]! << 16) | (mac[3]! << 24)) >>> 0);
    this.set(rowAt(PF_ROW.RAH, 0), (mac[4]! | (mac[5]! << 8) | RAH.AV) >>> 0);
  }
}
