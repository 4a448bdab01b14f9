import { close, GONE, NOT_NOW, receive } from '@ringwire/linux';
import { HEADER, headerProblem, type Message, messageOf, PAYLOAD_MAX } from './messages.js';

/**
 * Puts messages together from what a socket brings, however it is cut. Never more is read than the message at hand has,
 * so descriptors belong to the message that they came with.
 */
export class MessageReader {
  /** Why the connection is at its end: what came can't be a message, or nothing comes any more. */
  problem: string | undefined;
  /** Whether part of a message is there. */
  get isInside(): boolean {
    return this.have > 0 || this.fds.length > 0;
  }

  private readonly socket: number;
  private readonly header = new DataView(new ArrayBuffer(HEADER.SIZE));
  private payload = new Uint8Array(0);
  /** Bytes of header and payload that are there. */
  private have = 0;
  private fds: number[] = [];

  constructor(socket: number) {
    this.socket = socket;
  }

  /** @returns the next message that is whole, or undefined: nothing now, or {@link problem} says why nothing more */
  read(): Message | undefined {
    while (this.problem === undefined) {
      const into = this.rest();
      if (into.length === 0) return this.whole();
      const bytes = receive(this.socket, into, this.fds);
      if (bytes === NOT_NOW) return undefined;
      if (bytes === GONE) {
        this.problem = this.isInside ? 'the connection ended within a message' : 'the connection ended';
        return undefined;
      }
      this.have += bytes;
      if (this.have === HEADER.SIZE) this.judgeHeader();
    }
    return undefined;
  }

  /** Let go of descriptors that no message was handed on with. */
  dispose(): void {
    for (const fd of this.fds.splice(0)) close(fd);
  }

  private rest(): Uint8Array {
    const inHeader = HEADER.SIZE - this.have;
    if (inHeader > 0) return new Uint8Array(this.header.buffer, this.have, inHeader);
    return this.payload.subarray(this.have - HEADER.SIZE);
  }

  private judgeHeader(): void {
    this.problem = headerProblem(this.header);
    const size = this.header.getUint32(HEADER.size, true);
    this.payload = new Uint8Array(Math.min(size, PAYLOAD_MAX));
  }

  private whole(): Message {
    const message = messageOf(this.header, new DataView(this.payload.buffer), this.fds);
    this.have = 0;
    this.payload = new Uint8Array(0);
    this.fds = [];
    return message;
  }
}
