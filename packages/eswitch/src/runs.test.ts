import { RangeList } from '@ringwire/guest-memory';
import {
  copyFrame,
  DELIVERED,
  type Delivered,
  Frame,
  FrameRun,
  frameBytes,
  LearningSwitch,
} from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { expect, test } from 'vitest';
import { unaccountedFrames } from './conservation.js';
import { BROADCAST, CardStage, ethernet, PHYSICAL, station, vf, WIRE } from './testing/card-stage.js';
import { FRAME_KIND, OPEN_GATE } from './transmit-gate.js';

const HEADER = 12;
/** From one frame of a run to the next, and where the frames lie, at the end of the card's memory. */
const PITCH = 128;

/** A device that takes the first frames of a run, and puts a header that was checked where it belongs. */
class RunDevice extends ScriptedBackend {
  readonly runs: number[] = [];
  most = 100;

  receiveRun(run: FrameRun): number {
    const count = Math.min(run.count, this.most);
    this.runs.push(count);
    for (let i = 0; i < count; i++) {
      const range = run.first + i;
      const frame = new Frame(run.memory);
      frame.ranges = run.ranges;
      frame.first = range;
      frame.end = range + 1;
      frame.skip = run.skip;
      frame.length = run.ranges.length[range]! - run.skip;
      this.receive(frame);
      const bytes = this.bytes.at(-1)!;
      const view = new DataView(bytes.buffer);
      if (!run.hasHeader) continue;
      for (const [at, word] of [run.word0, run.word1, run.word2].entries()) view.setUint32(4 * at, word, true);
      view.setUint16(12, run.type16, true);
    }
    return count;
  }
}

function staged(options = {}): { stage: CardStage; devices: RunDevice[] } {
  const stage = new CardStage(3, options);
  const devices = stage.card.ports.map(({ backend }, index) => {
    const device = new RunDevice();
    stage.devices[index] = device;
    backend.attach(device);
    return device;
  });
  return { stage, devices };
}

function runOf(stage: CardStage, frames: readonly Uint8Array[]): FrameRun {
  const { memory } = stage;
  const run = new FrameRun(memory);
  run.ranges = new RangeList(64);
  run.skip = HEADER;
  run.count = frames.length;
  const start = memory.size - 64 * PITCH;
  for (const [i, bytes] of frames.entries()) {
    memory.u8.set(bytes, start + i * PITCH + HEADER);
    run.ranges.push(start + i * PITCH, HEADER + bytes.length);
    run.bytes += bytes.length;
  }
  return run;
}

test('a run is cut up where its headers change, and each part is one receiver’s', () => {
  const { stage, devices } = staged();
  const to = (number: number): Uint8Array => ethernet(station(number), station(2));
  expect(stage.card.virtual[0]!.backend.receiveRun!(runOf(stage, [to(3), to(3), to(4), to(1), to(3)]))).toBe(5);
  expect(devices.map(({ runs }) => runs)).toEqual([[], [1], [], [2, 1], [1]]);
  expect(stage.card.virtual[0]!.counters).toMatchObject({ inFrames: 5, inBytes: 90 });
  expect(stage.card.virtual[1]!.counters).toMatchObject({ outFrames: 3, outBytes: 54 });
  // What has several receivers, none, a tag or a policy against it, is for the way of single frames.
  const others = [
    ethernet(BROADCAST, station(2)),
    ethernet(station(3), station(3)),
    ethernet(station(3), station(2), [[0x8100, 5]]),
  ];
  for (const other of others)
    expect(stage.card.virtual[0]!.backend.receiveRun!(runOf(stage, [to(3), other, to(3)]))).toBe(1);
});

test('a run between two ports of one port VLAN goes as it came; one out of it, or to another one, does not', () => {
  const { stage, devices } = staged();
  const { card } = stage;
  const portVlan = { id: 5, priority: 3, protocol: 0x8100 } as const;
  for (const index of [0, 1]) card.virtual[index]!.configure({ portVlan });
  const { backend } = card.virtual[0]!;
  const bytes = ethernet(station(3), station(2));
  const give = (frame: Uint8Array): number => backend.receiveRun!(runOf(stage, [frame, frame, frame]));
  expect(give(bytes)).toBe(3);
  expect([devices[vf(1)]!.runs, devices[vf(1)]!.bytes]).toEqual([[3], [bytes, bytes, bytes]]);
  expect(card.virtual[0]!.counters).toMatchObject({ inFrames: 3, inBytes: 54 });
  expect(card.virtual[1]!.counters).toMatchObject({ outFrames: 3, outBytes: 54 });
  // One by one, as far as the receiver takes no more together; who is told of a loss sees the tag.
  const lost: Uint8Array[] = [];
  card.watchDrops({ dropped: (_port, _reason, frame) => void lost.push(frameBytes(frame)) });
  devices[vf(1)]!.most = 1;
  devices[vf(1)]!.answers.push(DELIVERED.ACCEPTED, DELIVERED.ACCEPTED, DELIVERED.FULL);
  expect(give(bytes)).toBe(3);
  expect(devices[vf(1)]!.bytes.slice(3)).toEqual([bytes, bytes]);
  expect(lost).toEqual([ethernet(station(3), station(2), [[0x8100, 0x6005]])]);
  // By the wire it leaves with the tag, a frame after the other.
  expect(give(ethernet(station(77), station(2)))).toBe(0);
  card.virtual[1]!.configure({ portVlan: { ...portVlan, id: 6 } });
  expect(give(bytes)).toBe(0);
  expect(stage.sent(vf(0), bytes)).toEqual([WIRE]);
  expect(unaccountedFrames(card.ports)).toBe(0);
});

test('a run from or to a learnt station goes together, for as long as it is known, and teaches where its sender is', () => {
  const { stage, devices } = staged({ learning: true, learnedFor: 100 });
  const { card } = stage;
  for (const one of card.virtual) one.configure({ checkMac: false });
  const give = (from: number, frame: Uint8Array): number =>
    card.virtual[from]!.backend.receiveRun!(runOf(stage, [frame, frame, frame]));
  expect(give(1, ethernet(station(2), station(50)))).toBe(3);
  expect(card.learnedOf(vf(1)).known).toBe(1);
  expect(give(0, ethernet(station(50), station(2)))).toBe(3);
  expect(devices[vf(1)]!.runs).toEqual([3]);
  stage.time = 101;
  expect(give(0, ethernet(station(50), station(2)))).toBe(3);
  expect([devices[vf(1)]!.runs, devices[WIRE]!.runs]).toEqual([[3], [3]]);
  // It is somewhere else now.
  expect(give(2, ethernet(station(2), station(50)))).toBe(3);
  expect(give(0, ethernet(station(50), station(2)))).toBe(3);
  expect(devices[vf(2)]!.runs).toEqual([3]);
  // From an address to itself: what the first frame teaches holds for the second one.
  expect(give(2, ethernet(station(60), station(60)))).toBe(0);
});

test('SR-20 frames of a run whose address finds no place are counted each', () => {
  const { stage } = staged({ learning: true, learnedPerPort: 1 });
  const { card } = stage;
  card.virtual[0]!.configure({ checkMac: false });
  for (const address of [50, 51]) {
    const frame = ethernet(station(3), station(address));
    expect(card.virtual[0]!.backend.receiveRun!(runOf(stage, [frame, frame, frame]))).toBe(3);
  }
  expect(card.learnedOf(vf(0))).toEqual({ known: 1, refused: 3 });
});

test('a flow that goes on follows what is set meanwhile', () => {
  const { stage } = staged();
  const { card } = stage;
  const bytes = ethernet(station(3), station(2));
  const to = (): number[] => {
    const before = stage.devices.map(({ frames }) => frames.length);
    const run = runOf(stage, [bytes]);
    if (card.virtual[0]!.backend.receiveRun!(run) === 0) stage.send(vf(0), bytes);
    return stage.devices.flatMap(({ frames }, index) => (frames.length > before[index]! ? [index] : []));
  };
  expect(to()).toEqual([vf(1)]);
  card.virtual[1]!.configure({ mac: station(9) });
  expect(to()).toEqual([WIRE]);
  card.virtual[2]!.configure({ mac: station(3) });
  expect(to()).toEqual([vf(2)]);
  card.setMirrors([{ port: vf(0), direction: 'in', to: PHYSICAL }]);
  expect(to()).toEqual([PHYSICAL, vf(2)]);
  card.setMirrors([]);
  card.setRules([{ match: {}, action: { kind: 'drop' } }]);
  expect(to()).toEqual([]);
  card.setRules([]);
  card.virtual[2]!.configure({ longestFrame: 64 });
  expect(to()).toEqual([vf(2)]);
  card.virtual[2]!.configure({ link: 'disable' });
  expect(to()).toEqual([]);
  card.virtual[2]!.configure({ link: 'auto' });
  card.virtual[0]!.configure({ mac: station(8) });
  expect(to()).toEqual([]);
  card.virtual[0]!.configure({ checkMac: false });
  expect(to()).toEqual([vf(2)]);
  card.virtual[2]!.backend.attach(undefined);
  expect(to()).toEqual([]);
});

test('SR-17 frames that go together are delivered with the header that was checked, too', () => {
  const bytes = ethernet(station(3), station(2));
  for (const most of [100, 1, 0]) {
    const forge = (): Delivered => {
      for (let i = 0; i < 3; i++)
        stage.memory.u8.set(ethernet(BROADCAST, station(1), [[0x8100, 9]]).subarray(0, 14), start + i * PITCH);
      return DELIVERED.ACCEPTED;
    };
    const { stage, devices } = staged({ gate: { ...OPEN_GATE, admit: () => forge() } });
    const start = stage.memory.size - 64 * PITCH + HEADER;
    devices[vf(1)]!.most = most;
    expect(stage.card.virtual[0]!.backend.receiveRun!(runOf(stage, [bytes, bytes, bytes]))).toBe(3);
    expect(devices[vf(1)]!.bytes).toEqual([bytes, bytes, bytes]);
    // And on through a second switch, behind the wire.
    const lan = new LearningSwitch(3);
    const far = new RunDevice();
    lan.ports[1]!.attach(far);
    const say = stage.frame(ethernet(BROADCAST, station(77)));
    lan.ports[1]!.receive(say);
    stage.card.wire.backend.attach(lan.ports[0]);
    const out = ethernet(station(77), station(2));
    expect(stage.card.virtual[0]!.backend.receiveRun!(runOf(stage, [out, out, out]))).toBe(3);
    expect(far.bytes).toEqual([out, out, out]);
  }
});

test('SR-22 of a run, a receiver loses what it has no room for, and the sender goes on', () => {
  const { stage, devices } = staged();
  const bytes = ethernet(station(3), station(2));
  devices[vf(1)]!.most = 1;
  devices[vf(1)]!.answers.push(DELIVERED.ACCEPTED, DELIVERED.FULL, DELIVERED.DROPPED);
  expect(stage.card.virtual[0]!.backend.receiveRun!(runOf(stage, [bytes, bytes, bytes, bytes]))).toBe(4);
  expect(stage.card.virtual[0]!.counters.inFrames).toBe(4);
  expect(stage.card.virtual[1]!.counters.outFrames).toBe(2);
  expect(stage.drops(vf(1))).toEqual({ NO_ROOM: 1, REFUSED: 1 });
  // The wire holds up what it has no room for.
  devices[WIRE]!.most = 1;
  devices[WIRE]!.answers.push(DELIVERED.ACCEPTED, DELIVERED.FULL);
  const out = ethernet(station(77), station(2));
  expect(stage.card.virtual[0]!.backend.receiveRun!(runOf(stage, [out, out, out]))).toBe(1);
  expect(stage.card.virtual[0]!.counters.inFrames).toBe(5);
});

test('a gate is asked for each frame of a run; what it does not let through stays, or is lost where it came in', () => {
  const { ACCEPTED, FULL, DROPPED } = DELIVERED;
  const { UNICAST, UNKNOWN } = FRAME_KIND;
  const asked: unknown[] = [];
  const answers: Delivered[] = [];
  const admit = (...what: unknown[]): Delivered => {
    asked.push(what);
    return answers.shift() ?? ACCEPTED;
  };
  const { stage, devices } = staged({ gate: { ...OPEN_GATE, admit } });
  const { backend, counters } = stage.card.virtual[0]!;
  const bytes = ethernet(station(3), station(2));
  const out = ethernet(station(77), station(2));
  expect(backend.receiveRun!(runOf(stage, [bytes, bytes, out]))).toBe(3);
  expect(asked.splice(0)).toEqual([
    [vf(0), 1, 18, false, UNICAST],
    [vf(0), 1, 18, false, UNICAST],
    [vf(0), 1, 18, true, UNKNOWN],
  ]);
  answers.push(ACCEPTED, FULL);
  expect(backend.receiveRun!(runOf(stage, [bytes, bytes, bytes]))).toBe(1);
  expect(devices[vf(1)]!.runs).toEqual([2, 1]);
  answers.push(FULL);
  expect(stage.send(vf(0), bytes)).toBe(FULL);
  answers.push(ACCEPTED, DROPPED, ACCEPTED);
  expect(backend.receiveRun!(runOf(stage, [bytes, bytes, bytes]))).toBe(3);
  answers.push(DROPPED);
  expect(stage.send(vf(0), bytes)).toBe(DROPPED);
  expect(stage.drops(vf(0))).toEqual({ STORM: 2 });
  expect([counters.inFrames, counters.inBytes, unaccountedFrames(stage.card.ports)]).toEqual([8, 144, 0]);
});

test('a frame of another memory is brought into the card’s', () => {
  const stage = new CardStage(2);
  const other = new CardStage(2);
  const bytes = ethernet(station(3), station(99));
  let isOwn = false;
  const receive = (frame: Frame): typeof DELIVERED.ACCEPTED => {
    isOwn = frame.memory === stage.memory && copyFrame(frame, 0, stage.memory, stage.memory.size - 64, 18) === 18;
    return DELIVERED.ACCEPTED;
  };
  stage.card.virtual[1]!.backend.attach({ offloads: 0, receive });
  expect(stage.card.wire.backend.receive(other.frame(bytes, 5))).toBe(DELIVERED.ACCEPTED);
  expect(isOwn).toBe(true);
  expect(stage.card.virtual[1]!.counters).toMatchObject({ outFrames: 1, outBytes: 18 });
});
