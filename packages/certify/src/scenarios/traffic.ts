import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F, virtioNetHdrBytes } from '@ringwire/virtio-spec/net';
import type { Stage } from '../stage.js';
import type { StatementId } from '../statements.js';

/** IEEE 802: for local experiments. */
const ETHERTYPE = [0x88, 0xb5] as const;
const NUMBER_AT = 14;
const HEADER_BYTES = 18;
const PEER = [2, 0, 0, 0, 0, 2] as const;
const BROADCAST = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] as const;
/** Bytes by which a frame may be off when a header of another size was meant. */
const SHIFTS = [2, 8, 12, 20, -2, -8, -12, -20];

/** Frames that differ in every byte that they can. */
export function frameOf(to: ArrayLike<number>, from: ArrayLike<number>, length: number, number: number): Uint8Array {
  const frame = Uint8Array.from({ length }, (_, at) => at * 7 + number * 13 + (at >> 5));
  frame.set(Array.from(to));
  frame.set(Array.from(from), 6);
  frame.set(ETHERTYPE, 12);
  if (length >= HEADER_BYTES) new DataView(frame.buffer).setUint32(NUMBER_AT, number);
  return frame;
}

/** Lengths from the shortest to the longest, all over. */
export const lengths = (count: number, most = 1514): number[] =>
  Array.from({ length: count }, (_, i) => 60 + ((i * 389) % (most - 59)));

const isOurs = (frame: Uint8Array): boolean => frame[12] === ETHERTYPE[0] && frame[13] === ETHERTYPE[1];
const areSame = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, at) => byte === other[at]);

/** The driver sends frames, as many at a time as it takes. @throws DriverFailed when one does not arrive as it was sent */
export function send(stage: Stage, sizes: readonly number[], perTurn = 16): void {
  const { port, verdict } = stage;
  port.heard.length = 0;
  const frames = sizes.map((length, number) => frameOf(PEER, stage.mac, length, number));
  let inTurn = 0;
  for (const frame of frames) {
    if (inTurn++ % perTurn === perTurn - 1) stage.turn();
    if (!stage.until(() => stage.transmit(frame)))
      stage.fail('net.tx.frame', `the driver takes no frame of ${frame.length} bytes any more`);
  }
  stage.until(() => port.heard.filter(isOurs).length >= frames.length);
  stage.settle();
  const heard = port.heard.filter(isOurs);
  const wrong = frames.findIndex((frame, at) => heard[at] === undefined || !areSame(heard[at], frame));
  const shifted = wrong < 0 ? undefined : shiftOf(frames[wrong]!, port.heard);
  if (shifted !== undefined) stage.fail('drv.net.rx-buffers.4', `a frame leaves ${shifted} ${headerWords(stage)}`);
  const count = `${heard.length} of ${frames.length} frames`;
  if (wrong >= 0)
    stage.fail(
      'net.tx.frame',
      `${count} left the device, and frame ${wrong} of ${frames[wrong]!.length} bytes not as it was`,
    );
  verdict.keep('net.tx.frame');
  verdict.keep('drv.net.tx.1');
}

/** How frames come in. */
interface Incoming {
  /** To the driver's address, unless to everybody. */
  readonly isToStation?: boolean;
  /** Frames that come before the driver gets its turn; 16 unless given. */
  readonly perTurn?: number;
  /** The statement that a driver breaks that does not hand them up. */
  readonly id?: StatementId;
}

/** Frames come in. @throws DriverFailed when one is not handed up as it was */
export function receive(stage: Stage, sizes: readonly number[], incoming: Incoming = {}): void {
  const { isToStation = true, perTurn = 16, id = 'net.rx.frame' } = incoming;
  const { port, verdict, received } = stage;
  received.length = 0;
  const to = isToStation ? stage.mac : BROADCAST;
  const frames = sizes.map((length, number) => frameOf(to, PEER, length, number));
  for (let at = 0; at < frames.length; at += perTurn) {
    for (const frame of frames.slice(at, at + perTurn)) port.send(frame);
    stage.turn();
  }
  stage.until(() => received.filter(isOurs).length >= frames.length);
  stage.settle();
  const wrong = frames.findIndex((frame, at) => received[at] === undefined || !areSame(received[at], frame));
  if (wrong >= 0) {
    const shifted = shiftOf(frames[wrong]!, received);
    if (shifted !== undefined)
      stage.fail('drv.net.rx-buffers.4', `a frame is handed up ${shifted} ${headerWords(stage)}`);
    const got = received[wrong];
    const what = got === undefined ? 'is missing' : `came as ${got.length} bytes`;
    const message = `${received.length} frames were handed up, want ${frames.length}; frame ${wrong} of ${frames[wrong]!.length} bytes ${what}`;
    stage.fail(isMerged(stage, frames[wrong]!, got) ? 'net.rx.merged' : id, message);
  }
  const extra = received.length - frames.length;
  verdict.keep(id);
  verdict.judge('net.rx.frame', extra === 0, `${extra} frames more were handed up than came`);
  verdict.keep('drv.net.rx-buffers.4');
}

/** Both ways. */
export function exchange(stage: Stage, sizes: readonly number[], isToStation = true): void {
  send(stage, sizes);
  receive(stage, sizes, { isToStation });
}

/** A frame came in pieces, or only its first one did. */
function isMerged(stage: Stage, frame: Uint8Array, got: Uint8Array | undefined): boolean {
  if (!stage.has(VIRTIO_NET_F.MRG_RXBUF) || got === undefined) return false;
  return got.length < frame.length && got.every((byte, at) => byte === frame[at]);
}

/** How a frame is off, when it looks like one behind a header of another size. */
function shiftOf(frame: Uint8Array, list: readonly Uint8Array[]): string | undefined {
  const body = frame.subarray(NUMBER_AT, NUMBER_AT + 32);
  for (const shift of SHIFTS) {
    const at = NUMBER_AT + shift;
    const hit = list.some((one) => at >= 0 && one.length > at && areSame(one.subarray(at, at + body.length), body));
    if (hit && body.length > 8) return `${Math.abs(shift)} bytes too ${shift > 0 ? 'late' : 'early'}`;
  }
  return undefined;
}

const headerWords = (stage: Stage): string =>
  `in its buffer: want a header of ${virtioNetHdrBytes(stage.watch.accepted)} bytes`;

/** Whether the driver has accepted a feature; for conditions. */
export const accepted = (stage: Stage, bit: number): boolean => hasFeature(stage.watch.accepted, bit);
