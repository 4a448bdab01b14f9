import { createHash } from 'node:crypto';
import { Guest } from './guest.js';
import { addDevice, Lab } from './lab.js';
import { moveGuest } from './move-guest.js';
import type { Ping } from './station.js';
import type { MoveRecord } from './timeline.js';

/** Between two pings, and between two looks at how far the streams are; µs. */
const PING_MICROSECONDS = 1_000;
const SAMPLE_MICROSECONDS = 2_000;
/** Of each stream's bytes, where the guest goes, and where it comes back. */
const MOVE_AT = [0.25, 0.6] as const;
/** After the last byte pings get so long to come back. */
const LAST_REPLIES_MICROSECONDS = 50_000;
const TURNS = 20_000_000;

/** A stream as its receiver had it. */
interface StreamOutcome {
  readonly name: string;
  readonly bytes: number;
  readonly resent: number;
  /** SHA-256 of what was sent and of what came, in hexadecimal. */
  readonly sent: string;
  readonly received: string;
}

/** How far both streams were at a time. */
interface StreamSample {
  readonly at: number;
  /** Bytes that the receivers acknowledged, together. */
  readonly bytes: number;
}

/** What a run was. Times are µs of its clock. */
export interface MigrateResult {
  readonly startedAt: number;
  readonly endedAt: number;
  readonly moves: readonly MoveRecord[];
  readonly pings: readonly Ping[];
  readonly streams: readonly StreamOutcome[];
  readonly samples: readonly StreamSample[];
}

/** Bytes that look like nothing: xorshift32, from a seed that is not 0. */
export function payloadOf(bytes: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(bytes / 4));
  let word = seed;
  for (let at = 0; at < words.length; at++) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    words[at] = word;
  }
  return new Uint8Array(words.buffer, 0, bytes);
}

const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/**
 * A guest and its neighbour send each other a payload over one TCP connection, and the neighbour pings, while the guest moves from one
 * vendor's card to the other's and back.
 * @param bytes of each direction
 * @param now   a clock in µs that never goes back, and always goes on
 * @throws Error for a move that fails, and for streams that come to no end
 */
export function runMigrate(bytes: number, now: () => number): MigrateResult {
  const lab = new Lab(now);
  const [here, there] = lab.places;
  const guest = new Guest(lab, addDevice(here), now);
  const { neighbour } = lab;
  const ends = [
    { name: 'guest → neighbour', from: guest.station, payload: payloadOf(bytes, 1), got: createHash('sha256') },
    { name: 'neighbour → guest', from: neighbour, payload: payloadOf(bytes, 2), got: createHash('sha256') },
  ] as const;
  const counts = [0, 0];
  for (const [at, { from, payload }] of ends.entries()) {
    const other = ends[1 - at]!;
    const received = (data: Uint8Array): void => {
      other.got.update(data);
      counts[1 - at]! += data.length;
    };
    from.openStream({ isClient: from === neighbour, payload, received });
  }
  const startedAt = now();
  const samples: StreamSample[] = [];
  const done = (): number => ends.reduce((sum, { from }) => sum + from.stream!.acknowledged, 0);
  let pingAt = startedAt;
  let sampleAt = startedAt;
  const turn = (): void => {
    guest.turn();
    const at = now();
    if (at >= pingAt) {
      pingAt = at + PING_MICROSECONDS;
      neighbour.ping();
    }
    if (at >= sampleAt) {
      sampleAt = at + SAMPLE_MICROSECONDS;
      samples.push({ at, bytes: done() });
    }
    neighbour.turn();
  };
  const moves: MoveRecord[] = [];
  for (let left = TURNS; !ends.every(({ from }) => from.stream!.isDone); left--) {
    if (left === 0) throw new Error(`the streams come to no end: ${done()} of ${2 * bytes} bytes arrived`);
    turn();
    const share = MOVE_AT[moves.length];
    if (share === undefined || done() < 2 * bytes * share) continue;
    const [from, to] = moves.length === 0 ? [here, there] : [there, here];
    moves.push(moveGuest(lab, guest, from, to, now, turn));
  }
  const endedAt = now();
  const pings = [...neighbour.pings];
  const waitUntil = endedAt + LAST_REPLIES_MICROSECONDS;
  while (pings.some(({ answeredAt }) => answeredAt === undefined) && now() < waitUntil) {
    neighbour.turn();
    guest.turn();
  }
  guest.close();
  const streams = ends.map(({ name, from, payload, got }, at) => ({
    ...{ name, bytes: counts[at]!, resent: from.stream!.resent },
    sent: digestOf(payload),
    received: got.digest('hex'),
  }));
  return { startedAt, endedAt, moves, pings, streams, samples };
}
