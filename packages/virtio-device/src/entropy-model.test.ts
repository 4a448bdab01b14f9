import { expect, test } from 'vitest';
import { EntropyModel } from './entropy-model.js';
import { AT, DeviceBench, EVERYWHERE, S } from './testing/device-bench.js';

const counting = (bytes: Uint8Array): void => {
  for (let at = 0; at < bytes.length; at++) bytes[at] = at + 1;
};

test.each(EVERYWHERE)(
  'over %s and %s rings, a buffer comes back with as many random bytes as it has',
  (face, layout) => {
    const bench = new DeviceBench(face, new EntropyModel(counting), { layout });
    bench.start();
    expect(bench.face.status()).toBe(S.ACK | S.DRIVER | S.FEATURES | S.OK);
    bench.offer(0, AT.buffers, 5);
    bench.face.kick(0);
    expect(bench.collect(0)).toEqual([]);
    expect(bench.device.step(8)).toBe(1);
    expect(bench.collect(0)).toEqual([5]);
    expect([...bench.guest.read(AT.buffers, 5)]).toEqual([1, 2, 3, 4, 5]);
    expect(bench.face.takeInterrupts()).toEqual({ used: true, config: false });
  },
);

test('a large buffer is filled in part, one without writable bytes gets none', () => {
  const bench = new DeviceBench('mmio', new EntropyModel(counting));
  bench.start();
  bench.offer(0, AT.buffers, 0x1001);
  bench.rings[0]!.addReadable(AT.buffers + 0x2000, 16);
  bench.rings[0]!.publish();
  bench.face.kick(0);
  bench.device.step(8);
  expect(bench.collect(0)).toEqual([0x1000, 0]);
});

test('a buffer that comes while the queue is found empty is not left behind', () => {
  const bench = new DeviceBench('mmio', new EntropyModel(counting));
  bench.start();
  bench.probe(0);
  // Empty now: the step that finds it so asks for notifications, and the driver sends one.
  expect(bench.device.step(8)).toBe(0);
  bench.rings[0]!.addWritable(AT.buffers, 4);
  expect(bench.rings[0]!.publish()).toBe(true);
  bench.face.kick(0);
  expect(bench.device.step(8)).toBe(1);
  expect(bench.collect(0)).toEqual([4]);
});

test('more buffers than one step handles wait for the next', () => {
  const bench = new DeviceBench('mmio', new EntropyModel(counting));
  bench.start();
  for (let at = 0; at < 5; at++) bench.offer(0, AT.buffers + at * 16, 3);
  bench.face.kick(0);
  expect([bench.device.step(3), bench.device.step(3), bench.device.step(3)]).toEqual([3, 2, 0]);
  expect(bench.collect(0)).toEqual([3, 3, 3, 3, 3]);
});
