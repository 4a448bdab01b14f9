import { fstatSync } from 'node:fs';
import { close, GONE, NOT_NOW, receive, send } from '@ringwire/linux';
import type { IotlbMisses, Miss } from './iotlb-misses.js';
import { BACKEND_REQUEST, backendRequest, HEADER, IOTLB, isAnswerTo, VRING_STATE } from './messages.js';

/** A header and a 64-bit word. */
const ANSWER_BYTES = HEADER.SIZE + 8;
const NOTHING = new Uint8Array(0);
/** Most requests without an answer: what is beyond waits. */
const UNDER_WAY_MAX = 1024;
/** Places of {@link BackendChannel.due}: the configuration, translations, then a call and an error for each ring. */
const CONFIG_PLACE = 0;
const TRANSLATION_PLACE = 1;
const RING_PLACES = 2;

interface UnderWay {
  readonly id: number;
  readonly place: number;
  readonly miss: Miss | undefined;
}

/**
 * The back-end's own channel: what it has to tell the front-end. Nothing is queued: what is to be told again before it was
 * told is told once, and with acknowledgements it is told again only when that was answered. So a front-end that doesn't
 * read costs what one that does costs.
 */
export class BackendChannel {
  /** The socket, which is the channel's. */
  readonly socket: number;
  /** REPLY_ACK was negotiated: every request is answered. */
  acknowledges = false;
  /** CONFIG was negotiated: the front-end is told of changes. */
  tellsConfig = false;
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
  /** Requests whose answers have not come, in their order. */
  private underWay: UnderWay[] = [];
  /** What of `due` waits for an answer: a byte each. Translations don't: each miss is one request. */
  private readonly busy: Uint8Array;
  private readonly answer = new DataView(new ArrayBuffer(ANSWER_BYTES));
  private have = 0;

  constructor(socket: number, rings: number, misses: IotlbMisses) {
    this.socket = socket;
    this.misses = misses;
    this.due = new Uint8Array(RING_PLACES + 2 * rings);
    this.busy = new Uint8Array(this.due.length);
  }

  /** The device's configuration is another one than the front-end may have read. */
  configChanged(): void {
    if (!this.tellsConfig) return;
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
    while (this.dueCount > 0 && !this.ended && this.underWay.length < UNDER_WAY_MAX) {
      const place = this.nextPlace();
      if (place < 0) return;
      const miss = place === TRANSLATION_PLACE ? this.misses.next() : undefined;
      // What was to be asked may be there meanwhile, or wanted no more.
      if ((place !== TRANSLATION_PLACE || miss !== undefined) && !this.sendRequest(place, miss)) return;
      this.due[place] = 0;
      this.dueCount--;
      this.cursor = place + 1;
      if (miss === undefined) continue;
      this.misses.told(miss);
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

  /** What is due and waits for no answer, or -1. */
  private nextPlace(): number {
    const { due, busy, cursor } = this;
    for (let tries = 0; tries < due.length; tries++) {
      const place = (cursor + tries) % due.length;
      if (due[place] === 1 && busy[place] === 0) return place;
    }
    return -1;
  }

  /** @returns whether it was sent */
  private sendRequest(place: number, miss: Miss | undefined): boolean {
    const id = requestOf(place);
    const payload = miss === undefined ? payloadOf(place) : missPayload(miss);
    const bytes = backendRequest(id, payload, this.acknowledges);
    const sent = send(this.socket, bytes);
    if (sent !== bytes.length) {
      this.ended = sent !== NOT_NOW;
      return false;
    }
    if (!this.acknowledges) return true;
    this.underWay.push({ id, place, miss });
    if (miss === undefined) this.busy[place] = 1;
    return true;
  }

  private set(place: number): void {
    if (this.due[place] !== 0) return;
    this.due[place] = 1;
    this.dueCount++;
  }

  private takeAnswer(): void {
    this.have = 0;
    const first = this.underWay.shift();
    if (first === undefined || !isAnswerTo(first.id, this.answer)) {
      this.problem = 'what came over the back-end’s channel answers nothing';
      this.ended = true;
      return;
    }
    this.busy[first.place] = 0;
    const isRefused = this.answer.getBigUint64(HEADER.SIZE, true) !== 0n;
    if (isRefused && first.miss !== undefined) this.misses.refuse(first.miss);
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
