import { SENT } from '@ringwire/guest-drivers';
import { HostMemory } from '@ringwire/guest-memory';
import { FrameQueue, type PcapngWriter, pairBackends } from '@ringwire/net-backend';
import type { FeatureSet } from './feature-sets.js';
import { answerTo, FRAME_NUMBER_AT, isEchoReply, numberFrame, pingFrame, streamFrame } from './frames.js';
import { GUEST_BYTES, Guest } from './guest.js';
import { Tap } from './tap.js';

export interface SetResult {
  /** Answered echo requests, of PINGS. */
  readonly pings: number;
  /** Frames of the stream that arrived, each in its turn. */
  readonly frames: number;
  readonly seconds: number;
  readonly interrupts: number;
  /** Frames that arrived out of turn, or were given up by the driver. */
  readonly wrong: number;
}

export const PINGS = 10;
const STREAM_BYTES = 256;
const CAPTURED = 20;
const MACS = [Uint8Array.of(2, 0, 0, 0, 0, 1), Uint8Array.of(2, 0, 0, 0, 0, 2)];
const CABLE_BYTES = 0x10_0000;
/** Made once: WebAssembly memories are few. */
const memory = HostMemory.create(2 * GUEST_BYTES + 2 * CABLE_BYTES);

/** Two guests with this set: echo requests from the first to the second, then a stream of numbered frames. */
export function runSet(set: FeatureSet, frames: number, writer: PcapngWriter): SetResult {
  memory.engine.fill(0, 0, memory.size);
  const cable = (n: number): FrameQueue => new FrameQueue(memory, 2 * GUEST_BYTES + n * CABLE_BYTES, CABLE_BYTES, 512);
  const [left, right] = pairBackends(cable(0), cable(1));
  const ports = ['first', 'second'].map((name) => writer.addInterface(`${set.name}: ${name}`));
  let pings = 0;
  let next = 0;
  let outOfTurn = 0;
  const first = new Guest(memory, 0, MACS[0]!, set, new Tap(left, writer, ports[0]!, CAPTURED), {
    frame: (frame) => {
      if (isEchoReply(frame.bytes())) pings++;
    },
  });
  const second = new Guest(memory, GUEST_BYTES, MACS[1]!, set, new Tap(right, writer, ports[1]!, CAPTURED), {
    frame: (frame) => {
      if (frame.length === STREAM_BYTES) {
        const number = memory.view.getUint32(frame.ranges.offset[0]! + FRAME_NUMBER_AT, true);
        if (number === next) next++;
        else outOfTurn++;
        return;
      }
      const answer = answerTo(frame.bytes(), MACS);
      if (answer !== undefined) second.driver.sendBytes(answer);
    },
  });
  const settle = (): void => {
    while (first.turn() || second.turn());
  };
  settle();
  for (let number = 0; number < PINGS; number++) {
    first.driver.sendBytes(pingFrame(MACS, number));
    settle();
  }
  const begin = performance.now();
  const frame = streamFrame(MACS, STREAM_BYTES);
  for (let number = 0; number < frames; number++) {
    numberFrame(frame, number);
    while (first.driver.sendBytes(frame) !== SENT.OK) {
      first.turn();
      second.turn();
    }
    if (number % 64 === 63) {
      first.turn();
      second.turn();
    }
  }
  settle();
  const seconds = (performance.now() - begin) / 1000;
  const { interrupts } = second.driver.counters;
  const given = [first, second].map(({ driver: { counters } }) => {
    const { rxTooLong, rxShort, rxNumBuffers, rxMissing, rxMerge, rxOffload, txLost } = counters;
    return rxTooLong + rxShort + rxNumBuffers + rxMissing + rxMerge + rxOffload + txLost;
  });
  first.driver.close();
  second.driver.close();
  return { pings, frames: next, seconds, interrupts, wrong: outOfTurn + given[0]! + given[1]! };
}
