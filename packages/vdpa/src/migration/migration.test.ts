import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { simParent } from '../sim-parent.js';
import { siovParent } from '../siov-parent.js';
import { CONTRACT_RAM_BYTES } from '../testing/contract-machine.js';
import { IommuStage, SOURCE } from '../testing/iommu-stage.js';
import {
  Killed,
  type MovePlan,
  MovingGuest,
  type MovingGuestOptions,
  type MovingPlace,
} from '../testing/moving-guest.js';
import { MOVING_WIRE_BYTES, MovingWire } from '../testing/moving-wire.js';
import { RECORD, RECORD_TYPE } from './record-layout.js';

const stage = new IommuStage();
const { memory, host } = stage;
const [ram, spare] = [0, 1].map(() => stage.processPages.allocate(CONTRACT_RAM_BYTES)) as [number, number];
/** All that a driver without a control queue uses. */
const SMALL = 0x8_0000;
const wireAt = host.pages.allocate(MOVING_WIRE_BYTES);
const { unit, requesters } = stage.scalable();

/** A guest, and two places for it: a simulator's device, and a slice of a function behind the IOMMU. */
function moving(options: MovingGuestOptions = {}) {
  const wire = new MovingWire(memory, wireAt);
  const device = { holdWhenFull: true };
  const sim = simParent(host, { vendorId: 0x1111, backend: () => wire.port(0), device });
  const sliced = siovParent(host, {
    name: 'pci/0000:3b:00.0',
    vendorId: 0x2222,
    sourceId: SOURCE,
    unit,
    requesters,
    bus: stage.bus,
    physical: stage.physical,
    tables: stage.tables,
    tracksDirty: true,
    firstPasid: 63,
    firstDomain: 8,
    slices: 1,
    pairs: 1,
    doorbells: 0xf000_0000,
    backend: () => wire.port(1),
    device,
  });
  const places: readonly [MovingPlace, MovingPlace] = [
    { parent: sim, port: 0 },
    { parent: sliced, port: 1 },
  ];
  const guest = new MovingGuest(memory, ram, spare, wire, places[0], options);
  return { guest, places, close: () => guest.close() };
}

/** Frames go out and come back, each once and in its order. */
function works(guest: MovingGuest): void {
  for (let sent = 0; sent < 10; sent++) guest.driver.send();
  guest.driver.settle();
  expect(guest.driver.heard).toEqual(guest.driver.all);
}

/** Bytes of a record's type. */
const typeOf = (record: Uint8Array): number =>
  new DataView(record.buffer, record.byteOffset).getUint16(RECORD.type, true);

describe.each([false, true])('packed %s', (isPacked) => {
  test('F68: a guest under traffic moves from vendor to vendor and back, and every frame comes once and in its order', () => {
    const { guest, places, close } = moving({ isPacked });
    for (let move = 0; move < 8; move++) {
      const to = places[(move + 1) & 1]!;
      const { hasMoved, problem, report } = guest.move(to);
      expect([hasMoved, problem]).toEqual([true, undefined]);
      expect(report.rounds[0]!.pages + report.rounds[0]!.zeros).toBe(CONTRACT_RAM_BYTES / 4096);
      expect(guest.device.vendorId).toBe(to === places[0] ? 0x1111 : 0x2222);
      works(guest);
    }
    expect(guest.driver.sent).toBeGreaterThan(200);
    close();
  });

  test.each([0, 1])('a control queue in address space %i moves with what its commands made', (controlSpace) => {
    const { guest, places, close } = moving({ isPacked, controlSpace });
    expect(hasFeature(guest.device.driverFeatures, VIRTIO_NET_F.CTRL_VQ)).toBe(true);
    // ALLMULTI on; then PROMISC on at the next place. virtio 1.4 §5.1.9.5.1
    for (const [move, command] of [
      [0, 1, 1],
      [0, 0, 1],
      [0, 1, 0],
    ].entries()) {
      expect(guest.driver.command(command)).toBe(0);
      guest.device.suspend();
      const before = guest.device.typeState()!;
      guest.device.resume();
      expect(guest.move(places[(move + 1) & 1]!).problem).toBeUndefined();
      guest.device.suspend();
      expect(guest.device.typeState()).toEqual(before);
      guest.device.resume();
      works(guest);
    }
    close();
  });

  test('MG-21 the connection is lost at any record: exactly one side runs, nothing is lost and nothing comes twice', () => {
    const seen = new Set<string>();
    for (const type of Object.values(RECORD_TYPE)) {
      const { guest, places, close } = moving({ isPacked, bytes: SMALL });
      const outcome = guest.move(places[1], {
        wire: (bytes, from) => {
          if (typeOf(bytes) !== type) return bytes;
          seen.add(`${from} ${type}`);
          return undefined;
        },
      });
      // Lost with STARTED, the target has begun; before that, it has not.
      const isThere = type === RECORD_TYPE.STARTED || type === RECORD_TYPE.REFUSE;
      expect([type, outcome.hasMoved]).toEqual([type, isThere]);
      expect([outcome.source.state, outcome.target.state]).toEqual(isThere ? ['moved', 'runs'] : ['stayed', 'ended']);
      works(guest);
      close();
    }
    expect(seen.size).toBe(Object.keys(RECORD_TYPE).length - 1);
  });

  test('MG-22 source or target dies at 50 random moments each: exactly one side runs, no frame is lost or comes twice', () => {
    for (const victim of ['source', 'target'] as const) {
      const points = pointsOf(isPacked, victim);
      const ends = new Set<boolean>();
      for (let run = 0; run < 50; run++) {
        const { guest, places, close } = moving({ isPacked, bytes: SMALL });
        // All of the last points, where it is decided, and others from all over the move.
        const at = run < 25 ? points - run : 1 + ((Math.imul(run, 0x9e37_79b1) >>> 8) % points);
        const { hasMoved, source, target } = guest.move(places[1], { point: killAt(victim, at) });
        expect([source.state, target.state]).toEqual(hasMoved ? ['moved', 'runs'] : ['stayed', 'ended']);
        ends.add(hasMoved);
        works(guest);
        close();
      }
      expect(ends.size, victim).toBe(2);
    }
  });
});

/** Let a program die when it comes to a point for the `at`-th time. */
function killAt(victim: 'source' | 'target', at: number): NonNullable<MovePlan['point']> {
  let left = at;
  return (side) => {
    if (side === victim && --left === 0) throw new Killed();
  };
}

/** Points of a move that nothing stops. */
function pointsOf(isPacked: boolean, side: 'source' | 'target'): number {
  const { guest, places, close } = moving({ isPacked, bytes: SMALL });
  let count = 0;
  guest.move(places[1], {
    point: (at) => {
      if (at === side) count++;
    },
  });
  close();
  return count;
}

test('MG-23 a guest that writes as fast as it can: copying ends by its rules, and the memory is the same', () => {
  for (const [rules, endedBy] of [
    [{ rounds: 4, patience: 99 }, 'limit'],
    [{ rounds: 99, patience: 2 }, 'no progress'],
  ] as const) {
    const { guest, places, close } = moving();
    // Behind what the driver uses.
    const [from, bytes] = [ram + 0x10_0000, 0x8_0000];
    const { report, hasMoved } = guest.move(places[1], {
      rules,
      during: (turn) => {
        for (let at = 0; at < bytes; at += 1024) memory.u32[(from + at) >>> 2] = turn * 7 + at;
      },
    });
    expect([hasMoved, report.endedBy]).toEqual([true, endedBy]);
    expect(report.lastPages).toBeGreaterThanOrEqual(bytes / 4096);
    // What is there now is what was brought: of the guest's own memory nothing was left.
    const last = memory.u32[from >>> 2]!;
    for (let at = 0; at < bytes; at += 1024) expect(memory.u32[(from + at) >>> 2]).toBe(last + at);
    works(guest);
    close();
  }
});

test('MG-24 a driver that resets the device during pre-copy finds it where it stood last', () => {
  const { guest, places, close } = moving();
  const { hasMoved } = guest.move(places[1], {
    frames: 0,
    during: (turn) => {
      if (turn === 3) guest.device.reset(true);
    },
  });
  expect([hasMoved, guest.device.status]).toEqual([true, 0]);
  close();
});

test('MG-24 a queue that is stopped and started elsewhere during pre-copy is where it was last', () => {
  const { guest, places, close } = moving();
  guest.move(places[1], {
    during: (turn) => {
      if (turn % 5 !== 4) return;
      for (const index of [0, 1]) {
        guest.device.setQueueReady(index, false);
        guest.device.setQueueReady(index, true);
        guest.device.kick(index);
      }
    },
  });
  works(guest);
  close();
});

test('what stands in the way is said before anything is sent', () => {
  const { guest, places, close } = moving();
  const { device } = guest;
  const { abilities } = device;
  Object.defineProperty(device, 'abilities', { value: { ...abilities, dirty: false }, configurable: true });
  const sent: number[] = [];
  const outcome = guest.move(places[1], {
    wire: (bytes) => {
      sent.push(typeOf(bytes));
      return bytes;
    },
  });
  expect(outcome.problem).toContain('does not tell which memory it writes');
  expect([outcome.hasMoved, sent]).toEqual([false, [RECORD_TYPE.REFUSE]]);
  Object.defineProperty(device, 'abilities', { value: abilities, configurable: true });
  works(guest);
  close();
});
