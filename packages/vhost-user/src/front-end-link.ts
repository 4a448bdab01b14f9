import { close, GONE, NOT_NOW, PollSet, receive, send, socketPair } from '@ringwire/linux';
import { BackEndChannel } from './front-end-channel.js';
import { type Asked, hasOwnReply, replyProblem, requestBytes } from './front-end-messages.js';
import { HEADER, hasProtocolFeature, PROTOCOL_F } from './messages.js';

/** How long a back-end may take, and how it is waited for. */
export interface FrontEndPatience {
  /** Milliseconds within which each request has to be answered. */
  readonly replyMs: number;
  /** A clock in milliseconds that never goes back. */
  readonly now: () => number;
  /** Called while there is no answer yet, where the thread is not simply to block: the turn of a back-end in it, say. */
  readonly pause: (() => void) | undefined;
}

/** A back-end's answer: its payload, or why there is none. */
export type Answer = DataView | string;

/**
 * A connection to a back-end: requests, each with its answer or an end. Whatever a back-end does that is not the answer
 * ends the connection, and {@link problem} says what it was; it ends no other way than that, and nothing throws.
 */
export class BackEndLink {
  readonly socket: number;
  /** Why the connection is over. */
  problem: string | undefined;
  /** It is over because the back-end went, which is no fault of its own. */
  isGone = false;
  /** Whether there are protocol features. */
  hasProtocol = false;
  /** The negotiated ones. */
  protocol = 0n;
  channel: BackEndChannel | undefined;
  private readonly patience: FrontEndPatience;
  private readonly set: PollSet = new PollSet(2);

  /** @param socket the connection, which is the link's from here on */
  constructor(socket: number, patience: FrontEndPatience) {
    this.socket = socket;
    this.patience = patience;
  }

  has(feature: keyof typeof PROTOCOL_F): boolean {
    return hasProtocolFeature(this.protocol, PROTOCOL_F[feature]);
  }

  /** Ask what has an answer of its own. @param fds descriptors of the answer are appended, and are the caller's */
  ask(name: Asked, payload?: Uint8Array, fds: number[] = []): Answer {
    return this.exchange(name, payload, [], fds, false);
  }

  /**
   * Tell the back-end something. With REPLY_ACK it says whether it could be.
   * @param fds descriptors to go along; they stay the caller's
   * @returns why it could not be
   */
  tell(name: Asked, payload?: Uint8Array, fds: readonly number[] = []): string | undefined {
    const acknowledged = this.has('REPLY_ACK');
    if (!acknowledged) return this.send(requestBytes(name, payload), fds);
    const answer = this.exchange(name, payload, fds, [], true);
    if (typeof answer === 'string') return answer;
    return answer.getBigUint64(0, true) === 0n ? undefined : `the back-end refuses ${name}`;
  }

  /** Give the back-end a channel of its own. */
  openChannel(): string | undefined {
    const [ours, theirs] = socketPair();
    this.channel = new BackEndChannel(ours);
    const why = this.tell('SET_BACKEND_REQ_FD', undefined, [theirs]);
    close(theirs);
    return why;
  }

  /** Look at what nobody asked for. @returns whether the connection holds */
  look(): boolean {
    this.serveChannel();
    if (this.problem !== undefined) return false;
    const bytes = receive(this.socket, new Uint8Array(1), []);
    if (bytes === GONE) this.gone();
    else if (bytes !== NOT_NOW) this.end('a reply, to nothing that was asked');
    return this.problem === undefined;
  }

  /** End the connection. */
  end(reason: string): string {
    if (this.problem === undefined) {
      this.problem = reason;
      this.channel?.close();
      close(this.socket);
    }
    return reason;
  }

  private exchange(
    name: Asked,
    payload: Uint8Array | undefined,
    fds: readonly number[],
    into: number[],
    needReply: boolean,
  ): Answer {
    const why = this.send(requestBytes(name, payload, needReply && !hasOwnReply(name)), fds);
    return why ?? this.reply(name, into);
  }

  private send(bytes: Uint8Array, fds: readonly number[]): string | undefined {
    if (this.problem !== undefined) return this.problem;
    const sent = send(this.socket, bytes, fds);
    if (sent === bytes.length) return undefined;
    return sent === GONE ? this.gone() : this.end('the back-end does not read');
  }

  private reply(name: Asked, fds: number[]): Answer {
    const deadline = this.patience.now() + this.patience.replyMs;
    const before = fds.length;
    const header = new DataView(new ArrayBuffer(HEADER.SIZE));
    let payload = new Uint8Array(0);
    let why = this.fill(new Uint8Array(header.buffer), fds, name, deadline) ?? replyProblem(name, header);
    if (why === undefined) {
      payload = new Uint8Array(header.getUint32(HEADER.size, true));
      why = this.fill(payload, fds, name, deadline);
    }
    const wanted = name === 'GET_INFLIGHT_FD' ? 1 : 0;
    if (why === undefined && fds.length - before > wanted) why = `the reply to ${name} has too many descriptors`;
    if (why === undefined) return new DataView(payload.buffer);
    for (const fd of fds.splice(before)) close(fd);
    return this.end(why);
  }

  /** Read as many bytes. @returns why they did not come */
  private fill(into: Uint8Array, fds: number[], name: Asked, deadline: number): string | undefined {
    for (let have = 0; have < into.length; ) {
      const bytes = receive(this.socket, into.subarray(have), fds);
      if (bytes === GONE) return this.gone();
      if (bytes !== NOT_NOW) have += bytes;
      else if (!this.wait(deadline)) return `no reply to ${name} within ${this.patience.replyMs} ms`;
      if (this.problem !== undefined) return this.problem;
    }
    return undefined;
  }

  /** @returns false when the time is over */
  private wait(deadline: number): boolean {
    const { now, pause } = this.patience;
    const left = deadline - now();
    if (left <= 0) return false;
    // A back-end may wait for its own answer first.
    this.serveChannel();
    if (pause !== undefined) {
      pause();
      return true;
    }
    this.set.clear();
    this.set.add(this.socket);
    if (this.channel !== undefined) this.set.add(this.channel.socket);
    this.set.block(Math.ceil(left));
    return true;
  }

  private serveChannel(): void {
    const { channel } = this;
    if (channel === undefined) return;
    channel.serve(this.has('REPLY_ACK'));
    if (channel.problem !== undefined) this.end(channel.problem);
    else if (channel.isGone) {
      channel.close();
      this.channel = undefined;
    }
  }

  private gone(): string {
    this.isGone = true;
    return this.end('the back-end ended the connection');
  }
}
