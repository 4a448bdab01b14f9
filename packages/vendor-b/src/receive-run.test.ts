import { RangeList } from '@ringwire/guest-memory';
import { Frame, FrameRun } from '@ringwire/net-backend';
import { WORK_ENTRY } from '@ringwire/nic-spec/vendor-b';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AT, ENTRIES, RawFunction, RX_RING } from './testing/raw-function.js';
import { frameTo, macOf, RAM, RAM_BYTES, VendorBStage } from './testing/vendor-b-stage.js';

/** From one buffer to the next. */
const PITCH = 0x1000;
const HEADER = 14;

/** A receive buffer: one or two segments, and where the first one begins in its page. */
interface Buffer {
  readonly segments: readonly number[];
  readonly shift: number;
  readonly isBad: boolean;
}

interface Scene {
  readonly buffers: readonly Buffer[];
  readonly lengths: readonly number[];
  readonly to: 'own' | 'other' | 'broadcast';
}

const scene: fc.Arbitrary<Scene> = fc.record({
  buffers: fc.array(
    fc.record({
      segments: fc.constantFrom([2048], [2048], [2048], [60], [64, 2000], [100, 100]),
      shift: fc.constantFrom(0, 0, 0, 4, 1),
      isBad: fc.constantFrom(false, false, false, false, true),
    }),
    { maxLength: ENTRIES },
  ),
  lengths: fc.array(fc.constantFrom(60, 61, 64, 300, 1514), { minLength: 1, maxLength: 10 }),
  to: fc.constantFrom('own', 'own', 'own', 'broadcast', 'other'),
});

function post(raw: RawFunction, buffers: readonly Buffer[]): void {
  for (const [slot, { segments, shift, isBad }] of buffers.entries()) {
    const entry = new Uint8Array(WORK_ENTRY.SIZE);
    const view = new DataView(entry.buffer);
    view.setUint8(WORK_ENTRY.opcode, isBad ? 9 : 2);
    view.setUint16(WORK_ENTRY.cookie, 100 + slot, true);
    view.setUint8(WORK_ENTRY.segments, segments.length);
    let at = AT.data + slot * PITCH + shift;
    for (const [i, length] of segments.entries()) {
      view.setUint32(WORK_ENTRY.segment + 8 * i, at % 2 ** 32, true);
      view.setUint32(WORK_ENTRY.segment + 8 * i + 4, length * 0x1_0000 + Math.floor(at / 2 ** 32), true);
      at += length + 4;
    }
    raw.entry(RX_RING, slot, entry);
  }
  raw.produce(RX_RING, buffers.length);
}

/** Everything that came of frames that came together, or one by one. */
function play(
  { buffers, lengths, to }: Scene,
  isTogether: boolean,
): { readonly state: unknown; readonly taken: number } {
  const stage = new VendorBStage();
  const [side, sender] = stage.enable(2);
  const raw = new RawFunction(stage, side!);
  raw.openRings();
  post(raw, buffers);
  const { native, counters } = side!.function;
  const { memory } = stage;
  const mac = { own: macOf(0), other: macOf(3), broadcast: new Uint8Array(6).fill(0xff) }[to];
  const frames = lengths.map((length, number) => frameTo(mac, macOf(1), 7 * 256 + 7, length).fill(number + 1, HEADER));
  // In the other guest's memory, which is nothing to look at.
  const base = sender!.ram.resolve(RAM + RAM_BYTES / 2, 0x8000, 0);
  const ranges = new RangeList(16);
  for (const [number, frame] of frames.entries()) {
    const at = base + number * 0x800;
    memory.u8.set(frame, at);
    // What was decided on is what arrives, whatever lies there by now.
    if (isTogether) memory.u8.fill(0xee, at, at + HEADER);
    ranges.push(at, frame.length);
  }
  const view = new DataView(frames[0]!.buffer);
  let done = 0;
  let taken = 0;
  while (done < frames.length) {
    if (isTogether) {
      const run = new FrameRun(memory);
      const words = [0, 4, 8].map((word) => view.getInt32(word, true));
      Object.assign(run, { ranges, first: done, count: frames.length - done, bytes: ranges.bytes(done) });
      Object.assign(run, {
        hasHeader: true,
        word0: words[0],
        word1: words[1],
        word2: words[2],
        type16: view.getUint16(12, true),
      });
      const count = native.receiveRun(run);
      taken += count;
      done += count;
      if (done === frames.length) break;
    }
    memory.u8.set(frames[done]!.subarray(0, HEADER), ranges.offset[done]!);
    const frame = new Frame(memory);
    Object.assign(frame, { ranges, first: done, end: done + 1, length: frames[done]!.length });
    native.receive(frame);
    done++;
  }
  native.flush();
  return { state: { ram: Buffer.from(side!.bytes()).toString('latin1'), counters: { ...counters } }, taken };
}

test('SR-17 SR-29: what comes together is received as what comes one by one: bytes, completions, counters', () => {
  let taken = 0;
  fc.assert(
    fc.property(scene, (of) => {
      const alone = play(of, false);
      const together = play(of, true);
      expect(together.state).toEqual(alone.state);
      taken += together.taken;
    }),
    { numRuns: 150 },
  );
  expect(taken).toBeGreaterThan(100);
});
