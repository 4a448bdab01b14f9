import {
  ADMIN_BUFFER,
  ADMIN_COMMAND,
  ADMIN_RESPONSE,
  ADMIN_STATUS,
  VB_REG,
  VB_STATUS,
} from '@ringwire/nic-spec/vendor-b';
import { BREAK, type Breakdown, breakdown } from '../breakdown.js';
import type { DmaArena } from '../dma-arena.js';
import { type Patience, waitFor } from '../patience.js';
import type { VendorBRegisters } from './bind-vendor-b.js';

const SEQUENCE_END = 0x1_0000;
const { command: COMMAND, response: RESPONSE, BYTES, SIZE } = ADMIN_BUFFER;
const TWO_32 = 0x1_0000_0000;

/** Reset a function, and wait until it is: only then it has let go of all memory. */
export function resetVendorB(registers: VendorBRegisters, patience: Patience): Breakdown | undefined {
  registers.write(VB_REG.RESET, 1);
  const isReset = (): boolean =>
    registers.read(VB_REG.RESET) === 0 && (registers.read(VB_REG.STATUS) & ~0xff) === 0 && isReady(registers);
  if (waitFor(isReset, patience)) return undefined;
  const status = registers.read(VB_REG.STATUS).toString(16);
  return breakdown(BREAK.RESET_TIMEOUT, `STATUS is 0x${status} after a reset, want READY (vendor B datasheet §2)`);
}

const isReady = (registers: VendorBRegisters): boolean =>
  (registers.read(VB_REG.STATUS) & (VB_STATUS.READY | VB_STATUS.FATAL | VB_STATUS.VIRTIO)) === VB_STATUS.READY;

/** What a command came to: results that are a private copy, good until the next one; or a refusal. */
export interface AdminAnswer {
  /** An `ADMIN_STATUS`. */
  readonly status: number;
  readonly results: DataView;
}

/** Commands to a function of vendor B's, one at a time, in memory that both share. */
export class AdminChannel {
  private readonly registers: VendorBRegisters;
  private readonly patience: Patience;
  private readonly host: number;
  private readonly arena: DmaArena;
  private readonly command = new Uint8Array(BYTES);
  private readonly response = new Uint8Array(BYTES);
  private sequence = 0;

  /** The function was reset. @throws VirtioError without memory for the buffer */
  constructor(registers: VendorBRegisters, arena: DmaArena, patience: Patience) {
    this.registers = registers;
    this.arena = arena;
    this.patience = patience;
    const address = arena.allocate(SIZE);
    this.host = arena.hostOf(address, SIZE);
    registers.write(VB_REG.ADMIN_ADDRESS, address >>> 0);
    registers.write(VB_REG.ADMIN_ADDRESS_HIGH, Math.floor(address / TWO_32));
  }

  /**
   * Send a command, and wait for its answer.
   * @param fill writes the parameters
   * @returns the answer, or ADMIN_UNANSWERED
   */
  send(opcode: number, fill: (parameters: DataView) => void = () => {}): AdminAnswer | Breakdown {
    const { u8, i32 } = this.arena.dma.space.memory;
    this.sequence = (this.sequence % (SEQUENCE_END - 1)) + 1;
    this.command.fill(0);
    const view = new DataView(this.command.buffer);
    view.setUint16(ADMIN_COMMAND.opcode, opcode, true);
    view.setUint16(ADMIN_COMMAND.sequence, this.sequence, true);
    fill(new DataView(this.command.buffer, ADMIN_COMMAND.parameters));
    const word = (this.host + RESPONSE) >>> 2;
    Atomics.store(i32, word, 0);
    u8.set(this.command, this.host + COMMAND);
    this.registers.write(VB_REG.ADMIN_DOORBELL, this.sequence);
    if (!waitFor(() => (Atomics.load(i32, word) & 0xffff) === this.sequence, this.patience))
      return breakdown(BREAK.ADMIN_UNANSWERED, `command 0x${opcode.toString(16)} was not answered`);
    this.response.set(u8.subarray(this.host + RESPONSE, this.host + RESPONSE + BYTES));
    const answer = new DataView(this.response.buffer);
    return {
      status: answer.getUint16(ADMIN_RESPONSE.status, true),
      results: new DataView(this.response.buffer, ADMIN_RESPONSE.results),
    };
  }

  /** Send a command that has to succeed. @returns what it says, or NOT_USABLE with the command's status */
  require(opcode: number, fill?: (parameters: DataView) => void): DataView | Breakdown {
    const answer = this.send(opcode, fill);
    if ('code' in answer) return answer;
    if (answer.status === ADMIN_STATUS.OK) return answer.results;
    const name = Object.keys(ADMIN_STATUS).find(
      (key) => ADMIN_STATUS[key as keyof typeof ADMIN_STATUS] === answer.status,
    );
    return breakdown(BREAK.NOT_USABLE, `command 0x${opcode.toString(16)} answered ${name ?? answer.status}, want OK`);
  }
}
