import { fstatSync } from 'node:fs';
import { close, GONE, NOT_NOW, receive, send } from '@ringwire/linux';
import type { IotlbMisses, Miss } from './iotlb-misses.js';
import { BACKEND_REQUEST, backendRequest, HEADER, IOTLB, isAnswerTo, VRING_STATE } from './messages.js';

/** A header and a 64-bit word. */
const ANSWER_BYTES = HEADER.SIZE + 8;
const NOTHING = new Uint8Array(0);
/** Places of {@link BackendChannel.due}: the configuration, translations, then a call and an error for each ring. */
const CONFIG_PLACE = 0;
const TRANSLATION_PLACE = 1;
const RING_PLACES = 2;

/**
 * The back-end's own channel: what it has to tell the front-end. Nothing is queued: what is to be told again before it was
 * told is told once, and with acknowledgements one request is under way at a time. So a front-end that doesn't read costs
 * what one that does costs.
 */
export class BackendChannel {
  /** The socket, which is the channel's. */
  readonly socket: number;
  /** REPLY_ACK was negotiated: every request is answered. */
  acknowledges = false;
  /** Nothing is sent any more: the front-end's end is gone, or {@link problem}. */
  ended = false;
  /** What came that can't be an answer. */
  problem: string | undefined;
  /** What is to be told: a byte each. */
  private readonly due: Uint8Array;
  /** How many bytes of `due` are set, so that a turn without any costs a comparison. */
  private dueCount = 0;
  /** Where to look for what is due: everything gets its turn. */
  private cursor = 0;
  private readonly misses: IotlbMisses;
  /** The request whose answer has not come, or 0; and the one about a translation that was made last. */
  private awaited = 0;
  private lastMiss: Miss | undefined;
  private readonly answer = new DataView(new ArrayBuffer(ANSWER_BYTES));
  private have = 0;

  constructor(socket: number, rings: number, misses: IotlbMisses) {
    this.socket = socket;
    this.misses = misses;
    this.due = new Uint8Array(RING_PLACES + 2 * rings);
  }

  /** The device's configuration is another one than the front-end may have read. */
  configChanged(): void {
    this.set(CONFIG_PLACE);
    // A change may come from elsewhere than a turn of the device.
    this.flush();
  }

  /** In place of a ring's call or error event. */
  notify(which: 'call' | 'err', ring: number): void {
    this.set(RING_PLACES + 2 * ring + (which === 'err' ? 1 : 0));
  }

  /** Send what is due and can be sent. */
  flush(): void {
    if (this.misses.next() !== undefined) this.set(TRANSLATION_PLACE);
    while (this.dueCount > 0 && this.awaited === 0 && !this.ended) {
      const ahead = this.due.indexOf(1, this.cursor);
      const place = ahead >= 0 ? ahead : this.due.indexOf(1);
      const miss = place === TRANSLATION_PLACE ? this.misses.next() : undefined;
      const id = requestOf(place);
      // What was to be asked may be there meanwhile, or wanted no more.
      const isWanted = place !== TRANSLATION_PLACE || miss !== undefined;
      if (isWanted && !this.sendRequest(id, miss === undefined ? payloadOf(place) : missPayload(miss))) return;
      this.due[place] = 0;
      this.dueCount--;
      this.cursor = place + 1;
      if (miss === undefined) continue;
      this.misses.told(miss);
      this.lastMiss = miss;
      if (this.misses.next() !== undefined) this.set(TRANSLATION_PLACE);
    }
  }

  /** Take answers, and make the requests that waited for them. */
  receive(): void {
    while (!this.ended) {
      const fds: number[] = [];
      const bytes = receive(this.socket, new Uint8Array(this.answer.buffer, this.have), fds);
      for (const fd of fds) close(fd);
      if (bytes === NOT_NOW) return;
      if (bytes === GONE) {
        this.ended = true;
        return;
      }
      this.have += bytes;
      if (this.have === ANSWER_BYTES) this.takeAnswer();
    }
  }

  close(): void {
    close(this.socket);
  }

  /** @returns whether it was sent */
  private sendRequest(id: number, payload: Uint8Array): boolean {
    const bytes = backendRequest(id, payload, this.acknowledges);
    const sent = send(this.socket, bytes);
    if (sent !== bytes.length) {
      this.ended = sent !== NOT_NOW;
      return false;
    }
    if (this.acknowledges) this.awaited = id;
    return true;
  }

  private set(place: number): void {
    if (this.due[place] !== 0) return;
    this.due[place] = 1;
    this.dueCount++;
  }

  private takeAnswer(): void {
    this.have = 0;
    if (this.awaited === 0 || !isAnswerTo(this.awaited, this.answer)) {
      this.problem = 'what came over the back-end’s channel answers nothing';
      this.ended = true;
      return;
    }
    const isRefused = this.answer.getBigUint64(HEADER.SIZE, true) !== 0n;
    if (isRefused && this.awaited === BACKEND_REQUEST.IOTLB_MSG) this.misses.refuse(this.lastMiss!);
    this.awaited = 0;
    this.flush();
  }
}

/** Why a descriptor can't be the back-end's channel. */
export function channelProblem(fd: number): string | undefined {
  return fstatSync(fd).isSocket() ? undefined : 'the channel is no socket';
}

function requestOf(place: number): number {
  if (place === CONFIG_PLACE) return BACKEND_REQUEST.CONFIG_CHANGE_MSG;
  if (place === TRANSLATION_PLACE) return BACKEND_REQUEST.IOTLB_MSG;
  return (place - RING_PLACES) % 2 === 0 ? BACKEND_REQUEST.VRING_CALL : BACKEND_REQUEST.VRING_ERR;
}

function payloadOf(place: number): Uint8Array {
  if (place === CONFIG_PLACE) return NOTHING;
  const payload = new Uint8Array(VRING_STATE.SIZE);
  new DataView(payload.buffer).setUint32(VRING_STATE.index, (place - RING_PLACES) >>> 1, true);
  return payload;
}

function missPayload({ iova, access, kind }: Miss): Uint8Array {
  const payload = new Uint8Array(IOTLB.PADDED);
  const view = new DataView(payload.buffer);
  view.setBigUint64(IOTLB.iova, BigInt(iova), true);
  view.setUint8(IOTLB.access, access);
  view.setUint8(IOTLB.type, kind);
  return payload;
}
