import { HostMemory, RangeList } from '@ringwire/guest-memory';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Frame, FrameRun } from './frame.js';
import { LearningSwitch } from './learning-switch.js';
import { ScriptedBackend } from './testing/index.js';

const HEADER = 12;
const FRAME_BYTES = 20;
/** As buffers of a driver: 4-byte aligned, or not. */
const PITCH = 64;

/** A device that takes runs, as many frames of each as it is told to. */
class RunDevice extends ScriptedBackend {
  readonly runs: number[] = [];
  private readonly most: number;

  constructor(most: number) {
    super();
    this.most = most;
  }

  receiveRun(run: FrameRun): number {
    const count = Math.min(run.count, this.most);
    this.runs.push(count);
    for (let i = 0; i < count; i++) this.receive(frameOf(run, i));
    return count;
  }
}

function frameOf(run: FrameRun, i: number): Frame {
  const frame = new Frame(run.memory);
  frame.ranges = run.ranges;
  frame.first = run.first + i;
  frame.end = frame.first + 1;
  frame.skip = run.skip;
  frame.length = run.ranges.length[frame.first]! - run.skip;
  return frame;
}

/** Frames between stations, of which number 0 is a group. Station n is at port n - 1. */
function runOf(pairs: readonly (readonly [number, number])[], shift: number): FrameRun {
  const memory = HostMemory.create(0x1_0000);
  const run = new FrameRun(memory);
  run.ranges = new RangeList(64);
  run.skip = HEADER;
  run.count = pairs.length;
  for (const [i, [to, from]] of pairs.entries()) {
    const at = i * PITCH + shift;
    run.ranges.push(at, HEADER + FRAME_BYTES);
    memory.u8.set([to === 0 ? 3 : 2, 0, 0, 0, 0, to, 2, 0, 0, 0, 0, from, 0x88, 0xb5, i], at + HEADER);
  }
  run.bytes = pairs.length * FRAME_BYTES;
  return run;
}

/** What a network device does with a run: the first ones at once, the others one by one. */
function send(lan: LearningSwitch, run: FrameRun, asRun: boolean): void {
  const [port] = lan.ports;
  const taken = asRun ? port!.receiveRun!(run) : 0;
  for (let i = taken; i < run.count; i++) port!.receive(frameOf(run, i));
}

test('a run is cut up where its addresses change, and each part goes to its device at once', () => {
  const lan = new LearningSwitch(3);
  const devices = lan.ports.map((port) => {
    const device = new RunDevice(100);
    port.attach(device);
    return device;
  });
  const say = (port: number): void => void lan.ports[port]!.receive(frameOf(runOf([[0, port + 1]], 0), 0));
  say(1);
  say(2);
  const pairs = [2, 2, 2, 3, 3, 2].map((to) => [to, 1] as const);
  expect(lan.ports[0]!.receiveRun!(runOf(pairs, 0))).toBe(6);
  expect(devices.map(({ runs }) => runs)).toEqual([[], [3, 1], [2]]);
  expect(lan.ports[0]!.counters).toEqual({ forwarded: 6, flooded: 0, filtered: 0, lost: 0 });
  // Whom nobody has heard of, a group, and a device that has no more room, are for the way of single frames.
  for (const to of [9, 0]) expect(lan.ports[0]!.receiveRun!(runOf([[to, 1]], 0))).toBe(0);
  lan.ports[1]!.attach(new RunDevice(1));
  say(1);
  expect(lan.ports[0]!.receiveRun!(runOf(pairs, 0))).toBe(1);
});

test('runs come to what single frames come to: the same frames at the same devices, and the same counters', () => {
  const station = fc.integer({ min: 0, max: 5 });
  const pair = fc.tuple(station, fc.integer({ min: 1, max: 5 }));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(pair, { maxLength: 12 }), fc.constantFrom(0, 4, 2)), { maxLength: 6 }),
      fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 4, maxLength: 4 }),
      (bursts, room) => {
        const [one, other] = [true, false].map((asRun) => {
          const lan = new LearningSwitch(4);
          const devices = lan.ports.map((port, index) => {
            const device = new RunDevice(room[index]!);
            port.attach(device);
            return device;
          });
          for (let index = 1; index < 4; index++) lan.ports[index]!.receive(frameOf(runOf([[0, index + 1]], 0), 0));
          for (const [pairs, shift] of bursts) send(lan, runOf(pairs, shift), asRun);
          return { bytes: devices.map(({ bytes }) => bytes), counters: lan.ports.map(({ counters }) => counters) };
        });
        expect(one).toEqual(other);
      },
    ),
    { numRuns: 300 },
  );
});
