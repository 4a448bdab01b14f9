import { GuestMemory, HostMemory, RangeList } from '@ringwire/guest-memory';
import {
  DELIVERED,
  type Delivered,
  EVERY_OFFLOAD,
  Frame,
  type FrameSink,
  type NetBackend,
} from '@ringwire/net-backend';
import { RING_KIND, VB_NO_VECTOR } from '@ringwire/nic-spec/vendor-b';
import { expect, test } from 'vitest';
import { CompletionRing } from './completion-ring.js';
import { NativePlane } from './native-plane.js';
import { Station } from './station.js';
import { SubmissionRing } from './submission-ring.js';
import { frameTo, macOf } from './testing/vendor-b-stage.js';
import { newVendorBCounters } from './vendor-b-counters.js';

const BURST = 32;
const ENTRIES = 64;
const ROUNDS = 20;
const BURSTS = 400;
const WARM = 4;
const AT = {
  completions: 0x1000,
  tx: 0x2000,
  rx: 0x3000,
  sent: 0x1_0000,
  received: 0x4_0000,
  cable: 0x8_0000,
} as const;
const BUFFER = 2048;

/** Brings the same frame again and again, and takes what comes. */
class Tireless implements NetBackend {
  readonly offloads = EVERY_OFFLOAD;
  frames = 0;
  private device: FrameSink | undefined = undefined;
  private readonly frame: Frame;

  constructor(memory: HostMemory, bytes: number) {
    this.frame = new Frame(memory);
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(AT.cable, bytes);
    this.frame.end = 1;
    this.frame.length = bytes;
  }

  attach(device: FrameSink | undefined): void {
    this.device = device;
  }

  receive(_frame: Frame): Delivered {
    this.frames++;
    return DELIVERED.ACCEPTED;
  }

  pump(): number {
    for (let i = 0; i < BURST; i++) this.device!.receive(this.frame);
    return BURST;
  }
}

test.each([0, 0x2_0000_0000])(
  'a quarter of a million frames each way need no allocation per frame, RAM from %d on',
  (ram) => {
    const memory = HostMemory.create(0x10_0000);
    const space = new GuestMemory(memory, [{ gpa: ram, size: AT.cable, host: 0 }]);
    const frame = frameTo(macOf(0), macOf(1), 1);
    memory.u8.set(frame, AT.cable);
    const backend = new Tireless(memory, frame.length);
    const counters = newVendorBCounters();
    const owner = { interrupt: () => {}, broke: () => {}, now: () => 0 };
    const plane = new NativePlane({
      space,
      backend,
      station: new Station(macOf(0)),
      counters,
      owner,
      holdWhenFull: false,
    });
    backend.attach(plane);
    plane.isLive = true;
    const place = { id: 0, entries: 2 * ENTRIES, generation: 1, address: ram + AT.completions };
    const completions = new CompletionRing(space, place, VB_NO_VECTOR);
    plane.completionRings[0] = completions;
    const rings = [RING_KIND.RECEIVE, RING_KIND.TRANSMIT].map((kind, id) => {
      const address = ram + (id === 0 ? AT.rx : AT.tx);
      return new SubmissionRing(space, { id, entries: ENTRIES, generation: 1, address }, kind, completions);
    });
    for (const [id, ring] of rings.entries()) plane.submissionRings[id] = ring;
    for (let slot = 0; slot < ENTRIES; slot++) {
      const spot = slot % BURST;
      memory.u8.set(frame, AT.sent + spot * BUFFER);
      memory.u32.set(
        [1 | (slot << 16), 1, AT.sent + spot * BUFFER, (ram / 2 ** 32) | (frame.length << 16)],
        (AT.tx + slot * 32) >>> 2,
      );
      memory.u32.set(
        [2 | (slot << 16), 1, AT.received + spot * BUFFER, (ram / 2 ** 32) | (BUFFER << 16)],
        (AT.rx + slot * 32) >>> 2,
      );
    }
    const bursts = (): void => {
      for (let n = 0; n < BURSTS; n++) {
        for (let id = 0; id < 2; id++) plane.produce(id, (rings[id]!.produced + BURST) & 0xffff, 1);
        plane.step(BURST);
        plane.consume(0, completions.produced, 1, false);
      }
    };
    for (let warm = 0; warm < WARM; warm++) bursts();
    const bytes = heapTaken(bursts);
    const frames = (ROUNDS + WARM) * BURSTS * BURST;
    expect([backend.frames, counters.sent, counters.received, counters.badEntries]).toEqual([
      frames,
      frames,
      frames,
      0,
    ]);
    // The smallest object has 12 bytes; a burst of 32 frames each way may cost a little, a frame nothing.
    expect(bytes / (2 * ROUNDS * BURSTS * BURST)).toBeLessThan(4);
  },
);

/** Heap that a loop took, in bytes: the sum of what each round added, so that a collection in between hides little. */
function heapTaken(loop: () => void): number {
  let taken = 0;
  let before = process.memoryUsage().heapUsed;
  for (let round = 0; round < ROUNDS; round++) {
    loop();
    const now = process.memoryUsage().heapUsed;
    if (now > before) taken += now - before;
    before = now;
  }
  return taken;
}
