import { accept, close, listenUnix, newMemoryFile, receive, send, signalEvent } from '@ringwire/linux';
import { joined, longs, words } from './raw-peer.js';

/** What a back-end does in place of an answer. */
export const FAULTS = [
  'answers another request',
  'answers too little',
  'answers too much',
  'does not mark its answer as one',
  'has the wrong version',
  'never answers',
  'answers half',
  'sends a descriptor along',
] as const;
export type Fault = (typeof FAULTS)[number] | 'hangs up' | 'refuses';

/** MQ, REPLY_ACK, MTU, the back-end's channel, CONFIG, in-flight, CONFIGURE_MEM_SLOTS and STATUS. */
const PROTOCOL = [0, 3, 4, 5, 9, 12, 15, 16].reduce((all, bit) => all | (1n << BigInt(bit)), 0n);
/** MTU, MAC, MRG_RXBUF, STATUS, CTRL_VQ, MQ; protocol features; VERSION_1 and RING_PACKED. */
const FEATURES = [3, 5, 15, 16, 17, 22, 30, 32, 34].reduce((all, bit) => all | (1n << BigInt(bit)), 0n);
const CONFIG_BYTES = 12;

/**
 * A back-end that says what it is told to, right or wrong. Numbers and offsets are the protocol's, written by hand: they
 * owe nothing to the tables that they test. It moves no frames.
 */
export class ScriptedBackEnd {
  features = FEATURES;
  protocol = PROTOCOL;
  pairs = 2n;
  slots = 32n;
  linkStatus = 1;
  status = 0n;
  /** Added to the ring that GET_VRING_BASE answers for, and to the place that GET_CONFIG does. */
  ring = 0;
  configAt = 0;
  /** Requests that came, in their order. */
  asked: number[] = [];
  /** Requests' payloads, the latest of each number. */
  readonly payloads: Map<number, Uint8Array> = new Map();
  /** What it does instead, at this request. */
  fault: { readonly id: number; readonly kind: Fault } | undefined;
  /** Descriptors that it was given: calls and errors by ring, and its own channel. */
  readonly calls: Map<number, number> = new Map();
  readonly errs: Map<number, number> = new Map();
  /** Whether each ring was switched on. */
  enabled: boolean[] = [];
  channel = -1;
  socket = -1;
  private readonly listener: number;
  private readonly owned: number[] = [];

  constructor(path: string) {
    this.listener = listenUnix(path);
  }

  /** Serve what is there. */
  turn(): void {
    if (this.socket < 0) this.socket = accept(this.listener);
    while (this.socket >= 0 && this.serve());
  }

  hangUp(): void {
    if (this.socket >= 0) close(this.socket);
    this.socket = -1;
    for (const fd of this.owned.splice(0)) close(fd);
    this.channel = -1;
  }

  end(): void {
    this.hangUp();
    close(this.listener);
  }

  /** Say something that nobody asked for. */
  say(bytes: Uint8Array): void {
    send(this.socket, bytes);
  }

  /** Ask on its own channel. */
  request(id: number, flags = 1, payload: Uint8Array = new Uint8Array(0)): void {
    send(this.channel, joined(words(id, flags, payload.length), payload));
  }

  closeChannel(): void {
    close(this.channel);
    this.owned.splice(this.owned.indexOf(this.channel), 1);
  }

  signal(fd: number | undefined): void {
    signalEvent(fd!);
  }

  private serve(): boolean {
    const header = new Uint8Array(12);
    const fds: number[] = [];
    if (receive(this.socket, header, fds) !== 12) return false;
    const [id, flags, size] = new Uint32Array(header.buffer) as unknown as [number, number, number];
    const payload = new Uint8Array(size);
    if (size > 0) receive(this.socket, payload, fds);
    this.asked.push(id);
    this.payloads.set(id, payload);
    this.keep(id, payload, fds);
    const answer = this.answerTo(id, payload) ?? ((flags & 8) === 0 ? undefined : longs(0));
    if (answer !== undefined) this.answer(id, answer);
    return this.socket >= 0;
  }

  private keep(id: number, payload: Uint8Array, fds: readonly number[]): void {
    this.owned.push(...fds);
    if (id === 13) this.calls.set(payload[0]!, fds[0]!);
    if (id === 14) this.errs.set(payload[0]!, fds[0]!);
    if (id === 18) this.enabled[payload[0]!] = payload[4] === 1;
    if (id === 21) this.channel = fds[0]!;
    if (id === 39) this.status = BigInt(payload[0]!);
  }

  private answerTo(id: number, payload: Uint8Array): Uint8Array | undefined {
    switch (id) {
      case 1:
        return longs(this.features);
      case 15:
        return longs(this.protocol);
      case 17:
        return longs(this.pairs);
      case 36:
        return longs(this.slots);
      case 40:
        return longs(this.status);
      case 11:
        return words(payload[0]! + this.ring, 7);
      case 24: {
        const config = joined(Uint8Array.of(2, 0, 0, 0, 0, 5, this.linkStatus, 0, 2, 0, 0xdc, 5));
        return joined(words(this.configAt, CONFIG_BYTES, 0), config);
      }
      case 31:
        return joined(longs(4096, 0), words(4 | (64 << 16), 0));
      default:
        return undefined;
    }
  }

  private answer(id: number, payload: Uint8Array): void {
    const kind = this.fault?.id === id ? this.fault.kind : undefined;
    const whole = (answered: number, flags: number, bytes: Uint8Array): Uint8Array =>
      joined(words(answered, flags, bytes.length), bytes);
    const file = id === 31 || kind === 'sends a descriptor along' ? newMemoryFile('in-flight', 4096) : -1;
    const fds = file < 0 ? [] : id === 31 && kind === 'sends a descriptor along' ? [file, file] : [file];
    const good = whole(id, 5, payload);
    if (kind === 'answers another request') this.say(whole(id + 1, 5, payload));
    else if (kind === 'answers too little') this.say(whole(id, 5, payload.subarray(0, payload.length - 5)));
    else if (kind === 'answers too much') this.say(whole(id, 5, joined(payload, new Uint8Array(300))));
    else if (kind === 'does not mark its answer as one') this.say(whole(id, 1, payload));
    else if (kind === 'has the wrong version') this.say(whole(id, 6, payload));
    else if (kind === 'answers half') this.say(good.subarray(0, good.length - 3));
    else if (kind === 'refuses') this.say(whole(id, 5, longs(1)));
    else if (kind === 'hangs up') this.hangUp();
    else if (kind !== 'never answers') send(this.socket, good, fds);
    if (file >= 0) close(file);
  }
}
