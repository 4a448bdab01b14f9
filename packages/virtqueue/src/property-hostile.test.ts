import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Arena } from './testing/arena.js';
import { DeviceUnderAttack } from './testing/device-under-attack.js';
import { DriverUnderAttack } from './testing/driver-under-attack.js';
import { check } from './testing/loopback.js';
import { anyKind, type Kind, partsOf, placeQueue } from './testing/random-queue.js';
import { RingVandal } from './testing/ring-vandal.js';

interface Step {
  readonly who: 'driver' | 'device' | 'vandal';
  readonly act: number;
  readonly a: number;
  readonly b: number;
}

const NUMBER = fc.integer({ min: 0, max: 0xffff });
const stepsOf = (vandal: number): fc.Arbitrary<Step[]> => {
  const who = fc.oneof(
    { arbitrary: fc.constant('driver' as const), weight: 10 },
    { arbitrary: fc.constant('device' as const), weight: 10 },
    { arbitrary: fc.constant('vandal' as const), weight: vandal },
  );
  const step = fc.record({ who, act: fc.integer({ min: 0, max: 7 }), a: NUMBER, b: NUMBER });
  return fc.array(step, { minLength: 1, maxLength: 200, size: 'max' });
};

/** What happened in a run: a property under which nothing happens always holds. */
interface Happened {
  used: number;
  good: number;
  faulty: number;
  broken: number;
  ringFaults: number;
}

/** Driver and device at work, each with somebody else's hands in the other's part of the rings. */
function attack(kind: Kind, steps: readonly Step[], happened: Happened): void {
  const arena = new Arena(kind.highRings);
  const { config, tables } = placeQueue(kind, arena);
  const parts = partsOf(kind, config, tables);
  const driver = new DriverUnderAttack(kind, config, tables);
  const device = new DeviceUnderAttack(kind, config, arena.guest.space.regions);
  const vandal = new RingVandal(kind, config, tables, arena);
  // What each side has to leave alone: the other one's parts.
  const [descs, driverArea, deviceArea, table] = parts as [Part, Part, Part, Part];
  const notDevices = kind.packed ? [driverArea, table] : [descs, driverArea, table];
  const bytesOf = (areas: Part[]): string =>
    areas.map(({ gpa, length }) => Buffer.from(arena.guest.read(gpa, length)).toString('latin1')).join();
  for (const { who, act, a, b } of steps) {
    if (who === 'vandal') {
      if (act < 2) vandal.flipByte(parts[a % 4]!, a >>> 2, b);
      else if (act < 4) vandal.writeDescriptor(a, b);
      else if (act < 6) (kind.packed ? () => vandal.writeUsedDescriptor(a, b) : () => vandal.writeUsed(a, b))();
      else (kind.packed ? () => vandal.markSlot(a, b) : () => vandal.makeAvailable(a, b))();
      continue;
    }
    const others = who === 'driver' ? [deviceArea] : notDevices;
    const before = bytesOf(others);
    if (who === 'driver') driver.step(act >> 1 === 3 ? 4 : act % 5, a, b);
    else device.step(act, a, b);
    check(bytesOf(others) === before, 'wrote into the other side’s part', who, act);
  }
  driver.finish();
  check(arena.damage(parts).length === 0, arena.damage(parts));
  happened.used += driver.taken;
  happened.good += device.good;
  happened.faulty += device.taken - device.good;
  happened.broken += driver.queue.broken === 0 ? 0 : 1;
  happened.ringFaults += device.queue.ringFault === 0 ? 0 : 1;
}

interface Part {
  readonly gpa: number;
  readonly length: number;
}

test.each([
  ['now and then', 1],
  ['all the time', 20],
])('whoever writes anything into the rings %s makes neither side throw, lose count or write elsewhere', (_, weight) => {
  const happened: Happened = { used: 0, good: 0, faulty: 0, broken: 0, ringFaults: 0 };
  fc.assert(
    fc.property(anyKind, stepsOf(weight), (kind, steps) => attack(kind, steps, happened)),
    { numRuns: 800 },
  );
  // Buffers went through, chains and rings were found faulty, devices were found out.
  for (const [what, count] of Object.entries(happened)) expect([what, count > 20]).toEqual([what, true]);
});
