import { VirtioError } from '@ringwire/virtio-spec';
import type { WireCounters } from './wire-counters.js';

const HERE = 'WireSettings';
/** IEEE 802.3 clause 4: above this there is no half duplex. */
const HALF_DUPLEX_MOST = 1000;
const SPEED_MOST = 800_000;
const QUANTA_MOST = 0xffff;

/** Bytes of frames that came and wait for the card. */
export const RECEIVE_BUFFER_BYTES = 0x8_0000;

/** Whether both ends may send at once. */
export type Duplex = 'full' | 'half';

/** What a card's host says of its wire, as the driver of the physical function does. No virtual function can. */
export interface WireSettings {
  /** Mbit/s, 1 to 800000. */
  readonly speed: number;
  /** 'half' up to 1000 Mbit/s. */
  readonly duplex: Duplex;
  /** PAUSE frames that come stop what is sent. IEEE 802.3 annex 31B */
  readonly honoursPause: boolean;
  /** PAUSE frames are sent while the receive buffer is full above `highWater`. */
  readonly sendsPause: boolean;
  /** Bytes in the receive buffer above which the other end is to pause, and at which it may go on. */
  readonly highWater: number;
  readonly lowWater: number;
  /** For how long it is to pause, unless told otherwise before, in quanta of 512 bit times: 1 to 65535. */
  readonly pauseTime: number;
}

/** What both ends agreed on. */
export interface WireLink {
  readonly isUp: boolean;
  readonly speed: number;
  readonly duplex: Duplex;
  readonly honoursPause: boolean;
  readonly sendsPause: boolean;
}

/** The wire as the host's side of a card sees and sets it. */
export interface WireControl {
  readonly counters: Readonly<WireCounters>;
  readonly settings: WireSettings;
  readonly link: WireLink;
  /**
   * What changes the link takes it down for a moment: functions see it go, and come back with the new speed.
   * @throws VirtioError for what cannot be, naming the setting
   */
  configure(changes: Partial<WireSettings>): void;
}

/** What a wire is unless it is told otherwise: 10 Gbit/s, both ways at once, without PAUSE. */
export const PLAIN_WIRE: WireSettings = {
  speed: 10_000,
  duplex: 'full',
  honoursPause: false,
  sendsPause: false,
  highWater: (RECEIVE_BUFFER_BYTES / 4) * 3,
  lowWater: RECEIVE_BUFFER_BYTES / 2,
  pauseTime: QUANTA_MOST,
};

/** @throws VirtioError for what cannot be */
export function checkWire({ speed, duplex, highWater, lowWater, pauseTime }: WireSettings): void {
  checkInteger('speed', speed, 1, SPEED_MOST);
  if (duplex !== 'full' && duplex !== 'half') throw new VirtioError('duplex', duplex, "'full' or 'half'", HERE);
  if (duplex === 'half' && speed > HALF_DUPLEX_MOST)
    throw new VirtioError('duplex', duplex, `'full' above ${HALF_DUPLEX_MOST} Mbit/s`, 'IEEE 802.3 clause 4');
  checkInteger('highWater', highWater, 1, RECEIVE_BUFFER_BYTES);
  checkInteger('lowWater', lowWater, 0, highWater - 1);
  checkInteger('pauseTime', pauseTime, 1, QUANTA_MOST);
}

/** The link of an end whose other end is no card: it does what this one does. */
export function linkAlone({ speed, duplex, honoursPause, sendsPause }: WireSettings, isUp: boolean): WireLink {
  const isFull = duplex === 'full';
  return { isUp, speed, duplex, honoursPause: isFull && honoursPause, sendsPause: isFull && sendsPause };
}

/** The link of one end of a cable between two cards: the slower one's speed, and PAUSE as far as both do their part. */
export function linkBetween(own: WireSettings, other: WireSettings): WireLink {
  const isFull = own.duplex === 'full' && other.duplex === 'full';
  return {
    isUp: true,
    speed: Math.min(own.speed, other.speed),
    duplex: isFull ? 'full' : 'half',
    honoursPause: isFull && own.honoursPause && other.sendsPause,
    sendsPause: isFull && own.sendsPause && other.honoursPause,
  };
}

export const sameLink = (one: WireLink, other: WireLink): boolean =>
  (Object.keys(one) as (keyof WireLink)[]).every((name) => one[name] === other[name]);

function checkInteger(field: string, value: number, min: number, max: number): void {
  if (!Number.isInteger(value) || value < min || value > max)
    throw new VirtioError(field, value, `an integer from ${min} to ${max}`, HERE);
}
