import type { AddressSpace } from '@ringwire/guest-memory';
import {
  ADMIN_BUFFER,
  ADMIN_COMMAND,
  ADMIN_OP,
  COMPLETION,
  P_COMPLETION_RING,
  P_SUBMISSION_RING,
  RING_KIND,
  VB_DOORBELL,
  VB_NO_VECTOR,
  VB_REG,
  VENDOR_B_BAR,
  WORK_ENTRY,
} from '@ringwire/nic-spec/vendor-b';
import { RAM, type StageSide, type VendorBStage } from './vendor-b-stage.js';

/** Where a hand-written driver has its things. */
export const AT = {
  admin: RAM,
  completions: RAM + 0x1000,
  tx: RAM + 0x2000,
  rx: RAM + 0x3000,
  data: RAM + 0x1_0000,
} as const;
export const ENTRIES = 8;
export const GENERATION = 7;
export const RX_RING = 0;
export const TX_RING = 1;

/** A function driven by hand: bytes and words as a driver that keeps no rule would write them. */
export class RawFunction {
  readonly stage: VendorBStage;
  readonly side: StageSide;
  readonly ram: AddressSpace;
  private sequence = 0;

  constructor(stage: VendorBStage, side: StageSide) {
    this.stage = stage;
    this.side = side;
    this.ram = side.ram;
    // Memory accesses and bus mastering.
    side.access.configWrite(4, 2, 6);
    this.register(VB_REG.ADMIN_ADDRESS, AT.admin % 2 ** 32);
    this.register(VB_REG.ADMIN_ADDRESS_HIGH, Math.floor(AT.admin / 2 ** 32));
  }

  register(at: number, value: number): void {
    this.side.access.barWrite(0, at, 4, value);
  }

  read(at: number): number {
    return this.side.access.barRead(0, at, 4);
  }

  doorbell(page: number, at: number, low: number, high = GENERATION): void {
    const offset = VENDOR_B_BAR.DOORBELLS + page * VENDOR_B_BAR.DOORBELL_PAGE + at;
    this.side.access.barWrite(0, offset, 4, low);
    this.side.access.barWrite(0, offset + 4, 4, high);
  }

  produce(ring: number, index: number, generation = GENERATION): void {
    this.doorbell(ring, VB_DOORBELL.SUBMISSION, index, generation);
  }

  /** Write bytes to RAM. */
  write(address: number, bytes: Uint8Array): void {
    const host = this.ram.resolve(address, bytes.length, 0);
    this.ram.memory.u8.set(bytes, host);
  }

  bytes(address: number, length: number): Uint8Array {
    const host = this.ram.resolve(address, length, 0);
    return this.ram.memory.u8.slice(host, host + length);
  }

  /** Send a command, and let the function work. @returns its status, and results */
  command(opcode: number, parameters: Uint8Array = new Uint8Array(0)): { status: number; results: Uint8Array } {
    this.sequence++;
    const command = new Uint8Array(ADMIN_BUFFER.BYTES);
    const view = new DataView(command.buffer);
    view.setUint16(ADMIN_COMMAND.opcode, opcode, true);
    view.setUint16(ADMIN_COMMAND.sequence, this.sequence, true);
    command.set(parameters, ADMIN_COMMAND.parameters);
    this.write(AT.admin, command);
    this.register(VB_REG.ADMIN_DOORBELL, this.sequence);
    this.stage.nic.step(16);
    const response = this.bytes(AT.admin + ADMIN_BUFFER.response, ADMIN_BUFFER.BYTES);
    return { status: response[2]! | (response[3]! << 8), results: response.slice(4) };
  }

  /** A polled completion ring, and both submission rings over it. */
  openRings(): void {
    this.command(ADMIN_OP.CREATE_COMPLETION_RING, ringBytes({ address: AT.completions, second: VB_NO_VECTOR }));
    this.openRing(RX_RING, RING_KIND.RECEIVE, AT.rx);
    this.openRing(TX_RING, RING_KIND.TRANSMIT, AT.tx);
  }

  openRing(id: number, kind: number, address: number): number {
    return this.command(ADMIN_OP.CREATE_SUBMISSION_RING, ringBytes({ id, address, second: kind })).status;
  }

  /** @param entry 32 bytes */
  entry(ring: number, slot: number, entry: Uint8Array): void {
    this.write((ring === TX_RING ? AT.tx : AT.rx) + slot * WORK_ENTRY.SIZE, entry);
  }

  completion(slot: number): Uint8Array {
    return this.bytes(AT.completions + slot * COMPLETION.SIZE, COMPLETION.SIZE);
  }
}

/** Parameters of the commands that create rings. */
export function ringBytes(
  ring: Partial<{ id: number; second: number; entries: number; generation: number; address: number; partner: number }>,
): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  const { id = 0, second = 0, entries = ENTRIES, generation = GENERATION, address = 0, partner = 0 } = ring;
  view.setUint16(P_COMPLETION_RING.id, id, true);
  view.setUint16(P_COMPLETION_RING.vector, second, true);
  view.setUint16(P_COMPLETION_RING.entries, entries, true);
  view.setUint16(P_COMPLETION_RING.generation, generation, true);
  view.setUint32(P_COMPLETION_RING.address, address % 2 ** 32, true);
  view.setUint32(P_COMPLETION_RING.address + 4, Math.floor(address / 2 ** 32), true);
  view.setUint16(P_SUBMISSION_RING.completionRing, partner, true);
  return bytes;
}
