import { NOT_NOW, receive, send } from '@ringwire/linux';

/**
 * A front-end that says what it is told to, right or wrong. Numbers and offsets are the protocol's, written by hand: they
 * owe nothing to the tables that they test.
 */
export class RawPeer {
  readonly socket: number;

  constructor(socket: number) {
    this.socket = socket;
  }

  /** @param flags of the header; version 1 unless given. @param size of the header, where it is to lie */
  send(id: number, payload: Uint8Array, fds: readonly number[] = [], flags = 1, size: number = payload.length): void {
    const bytes = new Uint8Array(12 + payload.length);
    bytes.set(words(id, flags, size));
    bytes.set(payload, 12);
    send(this.socket, bytes, fds);
  }

  /** The next answer, or undefined: none is there, or the connection is at its end. @param fds gets its descriptors */
  answer(fds: number[] = []): { id: number; flags: number; payload: Uint8Array } | undefined {
    const header = new Uint8Array(12);
    if (receive(this.socket, header, fds) !== 12) return undefined;
    const [id, flags, size] = new Uint32Array(header.buffer);
    const payload = new Uint8Array(size!);
    if (size! > 0) receive(this.socket, payload, []);
    return { id: id!, flags: flags!, payload };
  }

  /** Whether the connection is still there; takes no answer away that is due. */
  get isOpen(): boolean {
    return receive(this.socket, new Uint8Array(1), []) === NOT_NOW;
  }
}

/** 32-bit words. */
export function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

/** 64-bit words. */
export function longs(...values: (number | bigint)[]): Uint8Array {
  return new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer);
}

export function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** The value of an answer's 64-bit word. */
export function long(payload: Uint8Array): bigint {
  return new DataView(payload.buffer).getBigUint64(0, true);
}
