import { type HostMemory, RangeList } from '@ringwire/guest-memory';
import { copyFrame, Frame } from '@ringwire/net-backend';
import { ETHERNET } from '@ringwire/net-offload';
import { WIRE } from './wire-bytes.js';

/** IEEE 802.3 §31.4.1.3, annex 31A: EtherType of MAC control, and the only opcode that there is here. */
export const MAC_CONTROL = { TYPE: 0x8808, PAUSE: 0x0001 } as const;
/** IEEE 802.3 annex 31B.2: the unit of a pause's time, in bit times. */
const QUANTUM_BITS = 512;
/** Annex 31B.1: where a PAUSE goes that is for whoever is at the other end. */
const PAUSE_ADDRESS: Uint8Array = Uint8Array.of(0x01, 0x80, 0xc2, 0x00, 0x00, 0x01);
const OPCODE = ETHERNET.SIZE;
const TIME = OPCODE + 2;
const READ_BYTES = TIME + 2;
const MILLIBITS = 1000;

/** Bytes of host memory that {@link PauseFrames} works in; a multiple of 8. */
export const PAUSE_AREA_BYTES = 128;
const READ_AT = 64;

/** Makes PAUSE frames, and reads those that come. IEEE 802.3 annex 31B */
export class PauseFrames {
  private readonly memory: HostMemory;
  private readonly at: number;
  private readonly station: Uint8Array;
  private readonly frame: Frame;

  /** @param at host offset of {@link PAUSE_AREA_BYTES} @param station whose frames they are: 6 bytes */
  constructor(memory: HostMemory, at: number, station: Uint8Array) {
    this.memory = memory;
    this.at = at;
    this.station = station.slice();
    const bytes = WIRE.MIN_FRAME - WIRE.FCS;
    memory.u8.fill(0, at, at + bytes);
    memory.u8.set(PAUSE_ADDRESS, at);
    memory.u8.set(station, at + 6);
    this.put(at + ETHERNET.type, MAC_CONTROL.TYPE);
    this.put(at + OPCODE, MAC_CONTROL.PAUSE);
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(at, bytes);
    this.frame.end = 1;
    this.frame.length = bytes;
  }

  /** A frame that says so; one object, reused. @param quanta 0 to 65535; 0: go on */
  of(quanta: number): Frame {
    this.put(this.at + TIME, quanta);
    return this.frame;
  }

  /** Whether a frame is MAC control: between a station and the other end of its cable. */
  isControl(frame: Frame): boolean {
    const { ranges, first, skip, memory } = frame;
    const at = ranges.offset[first]! + skip;
    if ((at & 1) === 0 && ranges.length[first]! - skip >= ETHERNET.SIZE)
      return memory.u16[(at + ETHERNET.type) >>> 1] === CONTROL_16;
    copyFrame(frame, ETHERNET.type, this.memory, this.at + READ_AT, 2);
    return this.memory.u16[(this.at + READ_AT) >>> 1] === CONTROL_16;
  }

  /** The time of a MAC control frame that is a PAUSE for this station, in quanta; -1 for any other. */
  timeOf(frame: Frame): number {
    const { u8 } = this.memory;
    const at = this.at + READ_AT;
    if (copyFrame(frame, 0, this.memory, at, READ_BYTES) < READ_BYTES) return -1;
    if (!this.isAt(at, PAUSE_ADDRESS) && !this.isAt(at, this.station)) return -1;
    if (((u8[at + OPCODE]! << 8) | u8[at + OPCODE + 1]!) !== MAC_CONTROL.PAUSE) return -1;
    return (u8[at + TIME]! << 8) | u8[at + TIME + 1]!;
  }

  private isAt(at: number, address: Uint8Array): boolean {
    for (let i = 0; i < address.length; i++) if (this.memory.u8[at + i] !== address[i]) return false;
    return true;
  }

  private put(at: number, value: number): void {
    this.memory.u8[at] = value >>> 8;
    this.memory.u8[at + 1] = value & 0xff;
  }
}

/** The type as memory's halfwords have it. */
export const CONTROL_16: number = (MAC_CONTROL.TYPE >>> 8) | ((MAC_CONTROL.TYPE & 0xff) << 8);

/** @returns millibits that would be sent in so many quanta */
export const quantaMillibits = (quanta: number): number => quanta * QUANTUM_BITS * MILLIBITS;
