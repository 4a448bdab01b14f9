import { IdentitySpace } from '@ringwire/guest-memory';
import { describe, expect, test } from 'vitest';
import { DeviceBench, EVERYWHERE, F, S, SIZE } from './testing/device-bench.js';
import { RecordingModel } from './testing/recording-model.js';

/** A space that writes down when bursts begin and end. */
class BurstSpace extends IdentitySpace {
  readonly bursts: string[] = [];
  epoch = 0;

  override enter(): number {
    this.bursts.push('enter');
    return this.epoch;
  }

  override leave(): void {
    this.bursts.push('leave');
  }
}

function open(): { bench: DeviceBench<RecordingModel>; space: BurstSpace; wakes: () => number } {
  let space: BurstSpace | undefined;
  let woken = 0;
  const bench = new DeviceBench('mmio', new RecordingModel(), {
    wake: () => {
      woken++;
    },
    // Guest addresses of the bench lie in host memory at other offsets: the rings' places are resolved by the guest.
    space: (guest) => {
      space = new BurstSpace(guest.memory);
      space.resolve = guest.space.resolve.bind(guest.space);
      space.resolveRanges = guest.space.resolveRanges.bind(guest.space);
      return space;
    },
  });
  return {
    bench,
    space: space!,
    wakes: () => {
      const seen = woken;
      woken = 0;
      return seen;
    },
  };
}

describe('bursts of the address space', () => {
  test('a step is one, whatever its type asks for within it; enabling a queue is one too', () => {
    const { bench, space } = open();
    bench.start();
    expect(space.bursts.splice(0)).toEqual(['enter', 'leave']);
    bench.model.duringStep = () => {
      expect(bench.model.port!.enter()).toBe(true);
      bench.model.port!.leave();
    };
    bench.probe(0);
    expect(space.bursts.splice(0)).toEqual(['enter', 'leave']);
  });

  test("it ends when a type throws, which is the type's mistake", () => {
    const { bench, space } = open();
    bench.start();
    space.bursts.length = 0;
    bench.offer(0);
    bench.model.duringStep = () => {
      bench.model.duringStep = undefined;
      throw new Error('a mistake of the type');
    };
    expect(() => bench.device.step(SIZE)).toThrow('a mistake of the type');
    expect(space.bursts).toEqual(['enter', 'leave']);
    expect(bench.device.step(SIZE)).toBe(0);
  });

  test('outside of a step a type begins and ends its own, once, however deep it calls', () => {
    const { bench, space, wakes } = open();
    bench.start();
    const port = bench.model.port!;
    space.bursts.length = 0;
    wakes();
    expect([port.enter(), port.enter()]).toEqual([true, true]);
    // The device is at work: it is not entered again.
    expect(bench.device.step(SIZE)).toBe(0);
    bench.offer(0);
    bench.model.step(SIZE);
    port.leave();
    expect(space.bursts).toEqual(['enter']);
    port.leave();
    port.leave();
    expect(space.bursts).toEqual(['enter', 'leave']);
    // What it notified of leaves with the next step, of which the host is told.
    expect([wakes(), bench.face.takeInterrupts().used]).toEqual([1, false]);
    bench.device.step(SIZE);
    expect(bench.face.takeInterrupts().used).toBe(true);
  });

  test('when what was resolved may be void, rings are found anew before they are used', () => {
    const { bench, space } = open();
    bench.start();
    bench.probe(0);
    const asked: number[] = [];
    const resolve = space.resolve.bind(space);
    space.resolve = (address, length, access) => {
      asked.push(address);
      return resolve(address, length, access);
    };
    bench.device.step(SIZE);
    expect(asked).toEqual([]);
    space.epoch++;
    bench.device.step(SIZE);
    expect(asked).toEqual([0x1_0000, 0x1_1000, 0x1_2000]);
    bench.probe(0);
  });

  test('a device that does not run begins none', () => {
    const { bench, space } = open();
    expect([bench.device.step(SIZE), space.bursts]).toEqual([0, []]);
    bench.start();
    bench.model.port!.needsReset('of a broken wire');
    space.bursts.length = 0;
    bench.device.step(SIZE);
    expect(space.bursts).toEqual([]);
    expect(bench.face.status() & S.NEEDS_RESET).toBe(S.NEEDS_RESET);
    expect(bench.face.takeInterrupts().config).toBe(true);
  });
});

test('the host is woken by notifications, by DRIVER_OK, and by what a type has to tell outside of a step', () => {
  const { bench, wakes } = open();
  bench.negotiate();
  bench.addQueue(0);
  bench.face.kick(0);
  expect(wakes()).toBe(0);
  bench.face.setStatus(15);
  expect(wakes()).toBe(1);
  bench.face.kick(0);
  expect(wakes()).toBe(1);
  bench.face.kick(1);
  expect(wakes()).toBe(0);
  bench.model.port!.configChanged();
  expect(wakes()).toBe(1);
});

test("the deadline is the type's while the device runs", () => {
  const { bench } = open();
  bench.model.dueAt = 1234;
  expect(bench.device.deadline()).toBe(Number.POSITIVE_INFINITY);
  bench.start();
  expect(bench.device.deadline()).toBe(1234);
  expect(bench.model.port!.now()).toBeLessThanOrEqual(bench.model.port!.now());
});

test.each(EVERYWHERE)('over %s and %s rings, a step takes no more than its budget of each queue', (face, layout) => {
  const bench = new DeviceBench(face, new RecordingModel(), { layout, accept: [F.EVENT_IDX] });
  bench.start([0, 1]);
  for (let at = 0; at < 5; at++) for (const index of [0, 1]) bench.offer(index, 0x8_0000 + at * 32 + index * 16);
  expect([bench.device.step(2), bench.device.step(2), bench.device.step(2), bench.device.step(2)]).toEqual([
    4, 4, 2, 0,
  ]);
});
