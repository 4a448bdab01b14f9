import { ACCESS, type AddressSpace } from '@ringwire/guest-memory';
import { ADMIN_BUFFER, ADMIN_COMMAND, ADMIN_RESPONSE, ADMIN_STATUS } from '@ringwire/nic-spec/vendor-b';

const TWO_32 = 0x1_0000_0000;
const { BYTES } = ADMIN_BUFFER;

/** What carries commands out. @returns an `ADMIN_STATUS`; `results` is zero, and told only with OK */
export type Execute = (opcode: number, parameters: DataView, results: DataView) => number;

/**
 * Commands in memory: one is fetched, carried out, and answered behind itself. The command is a private copy while it is looked
 * at. Nothing of it is done within the doorbell's write.
 */
export class AdminEngine {
  /** Both halves of the buffer's address, as written. */
  low = 0;
  high = 0;
  /** Sequence number of the command that waits, or 0. */
  pending = 0;
  private readonly space: AddressSpace;
  private readonly execute: Execute;
  private readonly command = new Uint8Array(BYTES);
  private readonly response = new Uint32Array(BYTES / 4);

  constructor(space: AddressSpace, execute: Execute) {
    this.space = space;
    this.execute = execute;
  }

  reset(): void {
    this.low = 0;
    this.high = 0;
    this.pending = 0;
  }

  /** Carry out the command that waits. @returns false when the buffer is out of reach */
  turn(): boolean {
    const sequence = this.pending;
    if (!this.fetch()) {
      this.pending = 0;
      return false;
    }
    const command = new DataView(this.command.buffer);
    this.response.fill(0);
    const { buffer } = this.response;
    let status: number = ADMIN_STATUS.BAD_PARAMETER;
    if (command.getUint16(ADMIN_COMMAND.sequence, true) === sequence)
      status = this.execute(
        command.getUint16(ADMIN_COMMAND.opcode, true),
        new DataView(this.command.buffer, ADMIN_COMMAND.parameters),
        new DataView(buffer, ADMIN_RESPONSE.results),
      );
    if (status !== ADMIN_STATUS.OK) this.response.fill(0);
    this.response[0] = sequence | (status << 16);
    this.pending = 0;
    return this.answer();
  }

  private fetch(): boolean {
    const { space } = this;
    space.enter();
    const host = this.resolve(ADMIN_BUFFER.command, ACCESS.READ);
    if (host >= 0) this.command.set(space.memory.u8.subarray(host, host + BYTES));
    space.leave();
    return host >= 0;
  }

  private answer(): boolean {
    const { space, response } = this;
    space.enter();
    const host = this.resolve(ADMIN_BUFFER.response, ACCESS.WRITE);
    if (host >= 0) {
      const { i32 } = space.memory;
      for (let word = 1; word < response.length; word++) i32[(host >>> 2) + word] = response[word]!;
      Atomics.store(i32, host >>> 2, response[0]! | 0);
    }
    space.leave();
    return host >= 0;
  }

  private resolve(at: number, access: number): number {
    const host = this.space.resolve(this.high * TWO_32 + this.low + at, BYTES, access);
    return (host & 3) === 0 ? host : -1;
  }
}
