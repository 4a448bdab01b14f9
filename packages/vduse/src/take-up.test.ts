import { type DriverQueue, UsedBurst } from '@ringwire/virtqueue';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NAME, PACKED, QUEUE_SIZE, RAM, SPLIT, VduseStage } from './testing/vduse-stage.js';
import { VduseError } from './vduse-error.js';

const FRAME_AT: number = RAM.iova + 0x1_0000;
const BYTES = 72;

let stage: VduseStage;

beforeEach(() => {
  stage = new VduseStage();
  stage.node.isOnBus = true;
});

afterEach(() => stage.end());

const usedOf = (queue: DriverQueue): number => queue.takeUsed(new UsedBurst(QUEUE_SIZE), QUEUE_SIZE);

function add(tx: DriverQueue, count: number): void {
  for (let left = count; left > 0; left--) tx.addReadable(FRAME_AT, BYTES);
  tx.publish();
}

test('a split ring goes on at its used index: what was sent meanwhile is there, nothing twice', () => {
  stage.start(SPLIT);
  const tx = stage.openDriver(1, SPLIT);
  add(tx, 5);
  stage.kick(1);
  expect(usedOf(tx)).toBe(5);
  stage.killed();
  add(tx, 3);
  stage.node.interrupts.length = 0;
  const device = stage.serve();
  device.pump(64);
  expect([device.isTakenUp, usedOf(tx), stage.backend.bytes.length]).toEqual([true, 3, 8]);
  // Of the configuration, which may be another one; of every queue, for what the process before owed.
  expect(stage.node.interrupts).toEqual([-1, 0, 1]);
  expect([stage.states.at(-1), stage.problems]).toEqual(['running', []]);
  add(tx, 1);
  stage.kick(1);
  expect(usedOf(tx)).toBe(1);
});

test('packed rings do not say where they are: that is told, and the driver’s reset ends it', () => {
  stage.start(PACKED);
  const tx = stage.openDriver(1, PACKED);
  add(tx, 2);
  stage.kick(1);
  stage.killed();
  stage.serve();
  expect(stage.problems).toEqual([
    'left behind with a driver at work, and cannot be taken up: packed rings do not say where they are: unbind its driver, ' +
      'and bind it again',
  ]);
  expect(stage.device.pump(64)).toBe(0);
  stage.guest.write(RAM.iova, new Uint8Array(0x8000));
  expect(stage.start(PACKED)).toEqual([true, true, true, true, true]);
  const again = stage.openDriver(1, PACKED);
  add(again, 1);
  stage.kick(1);
  expect(usedOf(again)).toBe(1);
});

test('a driver that was on its way when the process was killed goes on where it was', () => {
  for (const status of [0, 1, 3]) stage.setStatus(status);
  stage.setUp(PACKED);
  stage.setStatus(0xb);
  stage.killed();
  stage.serve();
  expect([stage.setStatus(0xf), stage.states.at(-1)]).toEqual([true, 'running']);
});

test('a request that the one before did not answer is answered by the next', () => {
  stage.killed();
  const bytes = new Uint8Array(152);
  bytes.set([1, 0, 0, 0, 42]);
  bytes[24] = 1;
  stage.kernel.ask(NAME, bytes);
  const device = stage.serve();
  device.ready();
  expect([...stage.node.answers.at(-1)!.subarray(0, 8)]).toEqual([42, 0, 0, 0, 0, 0, 0, 0]);
});

test('one that was left behind and is on no bus is made anew', () => {
  stage.killed();
  const before = stage.node;
  before.isOnBus = false;
  const device = stage.serve();
  expect([device.isTakenUp, stage.node === before]).toEqual([false, false]);
});

describe('what cannot be taken up is refused with what to do, and left as it was', () => {
  const refused = (change: () => void): string => {
    stage.killed();
    change();
    try {
      stage.serve();
    } catch (error) {
      expect(error).toBeInstanceOf(VduseError);
      expect(stage.kernel.openFiles).toBe(stage.node.isOpen ? 1 : 0);
      return (error as VduseError).message;
    }
    return 'taken up';
  };

  test('another process serves it', () => {
    expect(refused(() => stage.kernel.open(`/dev/vduse/${NAME}`))).toBe('another process serves the VDUSE device net0');
    stage.node.isOpen = false;
  });

  test.each([
    ['the kernel has given it up', () => Object.assign(stage.node, { isBroken: true })],
    ['its driver has features that are not offered any more', () => Object.assign(stage.node, { accepted: 1n << 50n })],
    ['has another number of queues', () => stage.node.queues.pop()],
    ['has another number of queues', () => stage.node.queues.push({ ...stage.node.queues[0]! })],
    ['has another configuration', () => Object.assign(stage.node, { config: new Uint8Array(3) })],
  ])('%s', (why, change) => {
    expect(refused(change)).toBe(
      `the VDUSE device net0 was left behind and ${why}: "vdpa dev del net0", and start again`,
    );
  });

  test('its rings are not reached any more', () => {
    stage.start(SPLIT);
    stage.killed();
    stage.node.regions = [];
    stage.serve();
    expect(stage.problems.at(-1)).toContain('which is out of reach');
    expect(stage.device.device.status).toBe(0);
  });
});

describe('a kernel that has no device for us says what to do', () => {
  test.each([
    [
      '/dev/vduse/control',
      'ENOENT',
      'there is no /dev/vduse/control: want Linux 5.15 or newer with the module vduse ("modprobe vduse")',
    ],
    ['/dev/vduse/control', 'EACCES', '/dev/vduse/control cannot be opened: EACCES: want root'],
    ['/dev/vduse/control', 'EMFILE', '/dev/vduse/control cannot be opened: EMFILE'],
    ['/dev/vduse/b', 'EACCES', '/dev/vduse/b cannot be opened: EACCES'],
    [0x4008_8101, 'EINVAL', "this kernel's VDUSE is another one: SET_API_VERSION 0 gives EINVAL"],
    [0x4150_8102, 'EPERM', 'the kernel makes no VDUSE device b: EPERM: a network device wants CAP_NET_ADMIN'],
    [0x4150_8102, 'EINVAL', 'the kernel makes no VDUSE device b: EINVAL'],
    [0x4020_8114, 'EINVAL', 'queue 0 of b: EINVAL'],
  ] as const)('%s: %s', (what, code, message) => {
    const before = [stage.kernel.openFiles, stage.kernel.nodes.size];
    stage.kernel.refusals.set(what, code);
    expect(() => stage.serve({ name: 'b' })).toThrow(new VduseError(message, code));
    expect([stage.kernel.openFiles, stage.kernel.nodes.size]).toEqual(before);
  });

  test.each(['', 'control', '..', 'a/b', 'a b', 'é', 'x'.repeat(256)])('"%s" is no name', (name) => {
    expect(() => stage.serve({ name })).toThrow(`name is ${name}, want 1 to 255 letters`);
  });
});
