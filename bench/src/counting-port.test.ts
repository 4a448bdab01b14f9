import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { Frame, FrameRun } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import { COUNTING_PORT_BYTES, CountingPort } from './counting-port.js';

const PORT_AT = 0x1000;

/** 60 bytes as testpmd sends them: IPv4 that says 46 bytes. */
function testpmdFrame(): Uint8Array {
  const bytes = new Uint8Array(60).fill(0x5a);
  bytes.set([0x08, 0x00, 0x45, 0x00, 0, 46], 12);
  return bytes;
}

function stage(): { memory: HostMemory; port: CountingPort; send: (bytes: Uint8Array, cutAt?: number) => void } {
  const memory = HostMemory.create(0x4_0000);
  const port = new CountingPort(memory, PORT_AT);
  const send = (bytes: Uint8Array, cutAt = bytes.length): void => {
    memory.u8.set(bytes, PORT_AT + COUNTING_PORT_BYTES);
    const frame = new Frame(memory);
    frame.ranges = new RangeList(2);
    frame.ranges.push(PORT_AT + COUNTING_PORT_BYTES, cutAt);
    if (cutAt < bytes.length) frame.ranges.push(PORT_AT + COUNTING_PORT_BYTES + cutAt, bytes.length - cutAt);
    frame.end = cutAt < bytes.length ? 2 : 1;
    frame.length = bytes.length;
    port.receive(frame);
  };
  return { memory, port, send };
}

test('frames as testpmd sends them, in one piece or two, are as they are to be', () => {
  const { port, send } = stage();
  for (let n = 0; n < 40; n++) send(testpmdFrame(), n % 2 === 0 ? 60 : 13);
  expect([port.frames, port.problem(60)]).toEqual([40, undefined]);
});

test('a run of frames counts, and is looked at, as its frames do one by one', () => {
  const { memory, port } = stage();
  const run = new FrameRun(memory);
  run.ranges = new RangeList(3);
  run.skip = 12;
  for (const at of [0, 1, 2]) {
    const from = PORT_AT + COUNTING_PORT_BYTES + at * 0x100;
    memory.u8.set(testpmdFrame(), from + run.skip);
    run.ranges.push(from, run.skip + 60 + (at === 2 ? 1 : 0));
  }
  run.count = 2;
  expect([port.receiveRun(run), port.frames, port.problem(60)]).toEqual([2, 2, undefined]);
  run.first = 2;
  run.count = 1;
  expect([port.receiveRun(run), port.problem(60)]).toEqual([1, '1 frames have not 60 bytes, want all 60']);
});

test('another length, another protocol and another byte are found', () => {
  const { port, send } = stage();
  send(testpmdFrame());
  expect(port.problem(64)).toBe('0 frames have not 60 bytes, want all 64');
  send(testpmdFrame().subarray(0, 59));
  expect(port.problem(60)).toBe('1 frames have not 60 bytes, want all 60');
  const other = stage();
  other.send(new Uint8Array(60));
  expect(other.port.problem(60)).toBe("frame 0 is none of testpmd's");
  const third = stage();
  third.send(testpmdFrame());
  const damaged = testpmdFrame();
  damaged[59] = 0;
  third.send(damaged);
  expect(third.port.problem(60)).toBe('frame 1 is another one than frame 0, from byte 59 on');
});
