import type { QueueSetup } from '@ringwire/guest-drivers';
import { close, newEvent, signalEvent } from '@ringwire/linux';
import type { BackEndLink } from './front-end-link.js';
import { VRING_ADDR, VRING_STATE } from './messages.js';

/** A ring's number and a value. */
function vringState(index: number, num: number): Uint8Array {
  const payload = new Uint8Array(VRING_STATE.SIZE);
  const view = new DataView(payload.buffer);
  view.setUint32(VRING_STATE.index, index, true);
  view.setUint32(VRING_STATE.num, num, true);
  return payload;
}

/** A ring's number, in the 64-bit word that goes with a descriptor. */
function vringWord(index: number): Uint8Array {
  const payload = new Uint8Array(8);
  payload[0] = index;
  return payload;
}

/** One data queue, as the back-end is told of it. */
export class FrontEndRing {
  readonly index: number;
  readonly setup: QueueSetup;
  /** Event descriptors, each made once: a back-end has copies of them for as long as it likes. */
  readonly kick: number;
  readonly call: number;
  readonly err: number;
  isEnabled = false;

  constructor(index: number, setup: QueueSetup) {
    this.index = index;
    this.setup = setup;
    this.kick = newEvent();
    this.call = newEvent();
    this.err = newEvent();
  }

  /** Where the ring is. @param base its position @returns why it cannot be there */
  place(link: BackEndLink, base: number): string | undefined {
    const { index, setup } = this;
    const word = vringWord(index);
    return (
      link.tell('SET_VRING_NUM', vringState(index, setup.size)) ??
      link.tell('SET_VRING_BASE', vringState(index, base)) ??
      link.tell('SET_VRING_ADDR', this.addresses()) ??
      link.tell('SET_VRING_ERR', word, [this.err]) ??
      link.tell('SET_VRING_CALL', word, [this.call])
    );
  }

  start(link: BackEndLink): string | undefined {
    return link.tell('SET_VRING_KICK', vringWord(this.index), [this.kick]);
  }

  /** @param link undefined while there is no back-end: the next one is told. @returns why it can't be */
  enable(link: BackEndLink | undefined, isEnabled: boolean): string | undefined {
    this.isEnabled = isEnabled;
    // Without protocol features a ring is on as long as it is started.
    if (link?.hasProtocol !== true) return undefined;
    return link.tell('SET_VRING_ENABLE', vringState(this.index, isEnabled ? 1 : 0));
  }

  /** Take the ring back. @returns its position, or why it is not known */
  stop(link: BackEndLink): number | string {
    const answer = link.ask('GET_VRING_BASE', vringState(this.index, 0));
    if (typeof answer === 'string') return answer;
    const index = answer.getUint32(VRING_STATE.index, true);
    return index === this.index
      ? answer.getUint32(VRING_STATE.num, true)
      : link.end(`GET_VRING_BASE of ring ${this.index} was answered for ring ${index}`);
  }

  notify(): void {
    signalEvent(this.kick);
  }

  close(): void {
    for (const fd of [this.kick, this.call, this.err]) close(fd);
  }

  /** Guest-physical addresses: they are also what the back-end was given in place of our own. */
  private addresses(): Uint8Array {
    const { index, setup } = this;
    const payload = new Uint8Array(VRING_ADDR.SIZE);
    const view = new DataView(payload.buffer);
    view.setUint32(VRING_ADDR.index, index, true);
    view.setBigUint64(VRING_ADDR.desc, BigInt(setup.desc), true);
    view.setBigUint64(VRING_ADDR.avail, BigInt(setup.driver), true);
    view.setBigUint64(VRING_ADDR.used, BigInt(setup.device), true);
    return payload;
  }
}
