import { HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { isVdpaRefusal, ShadowVdpa, simParent, type VdpaDevice, type VdpaHost, type VdpaParent } from '@ringwire/vdpa';
import {
  CONTRACT_RAM_BYTES,
  Killed,
  MOVING_WIRE_BYTES,
  MovingGuest,
  type MovingPlace,
  MovingWire,
} from '@ringwire/vdpa/testing';
import { expect, test } from 'vitest';
import { ixgbeParent } from './ixgbe-parent.js';
import { vendorBParent } from './vendor-b-parent.js';

const HOST_BYTES = 0x400_0000;
/** All that a driver without a control queue uses. */
const SMALL = 0x8_0000;
const memory = HostMemory.create(HOST_BYTES + 2 * CONTRACT_RAM_BYTES);
const host: VdpaHost = { memory, pages: new PageAllocator(0, HOST_BYTES), now: () => 0 };
const [ram, spare] = [HOST_BYTES, HOST_BYTES + CONTRACT_RAM_BYTES];
const wire = new MovingWire(memory, host.pages.allocate(MOVING_WIRE_BYTES));
const net = { holdWhenFull: true };
const nowhere = { offloads: 0, attach: () => {}, receive: () => 2 as const, pump: () => 0 };
const portOf = (number: number) => (place: number) => (place < 0 ? nowhere : wire.port(number));

/** A simulator that has packed rings alone behind it, whatever the driver has. */
function packedOnly(port: number): VdpaParent {
  const parent = simParent(host, { name: 'packed', vendorId: 0x3333, backend: () => wire.port(port), device: net });
  const behind = new Map<VdpaDevice, VdpaDevice>();
  return {
    ...{ name: parent.name, classes: parent.classes, maxQueues: parent.maxQueues, features: parent.features },
    add(name, attributes) {
      const device = parent.add(name, attributes);
      if (isVdpaRefusal(device)) return device;
      const shadow = new ShadowVdpa({ device, pages: host.pages, rings: 'packed' });
      behind.set(shadow, device);
      return shadow;
    },
    remove(device) {
      parent.remove(behind.get(device)!);
      behind.delete(device);
    },
  };
}

const A: MovingPlace = {
  parent: ixgbeParent(host, { name: 'pci/0000:01:00.0', functions: 1, backend: portOf(0), net }),
  port: 0,
};
const B: MovingPlace = {
  parent: vendorBParent(host, { name: 'pci/0000:02:00.0', functions: 1, backend: portOf(1), net }),
  port: 1,
};
const SIM: MovingPlace = {
  parent: simParent(host, { vendorId: 0x1111, backend: () => wire.port(2), device: net }),
  port: 2,
};
const SHADOW: MovingPlace = { parent: packedOnly(3), port: 3 };

/** Frames go out and come back, each once and in its order. */
function works(guest: MovingGuest): void {
  for (let sent = 0; sent < 10; sent++) guest.driver.send();
  guest.driver.settle();
  expect(guest.driver.heard).toEqual(guest.driver.all);
}

test.each([false, true])(
  'F68, F65: a guest goes from every vendor to every other one, shadow queues among them, packed %s',
  (isPacked) => {
    const guest = new MovingGuest(memory, ram, spare, wire, A, { isPacked, controlSpace: 0 });
    expect(guest.driver.command([0, 1, 1])).toBe(0);
    guest.device.suspend();
    const state = guest.device.typeState()!;
    guest.device.resume();
    expect(state.length).toBeGreaterThan(0);
    for (const [at, to] of [B, A, SIM, B, SHADOW, A, SHADOW, SIM, A].entries()) {
      const { hasMoved, problem } = guest.move(to);
      expect([at, hasMoved, problem]).toEqual([at, true, undefined]);
      works(guest);
    }
    // What the command changed went with it all the way.
    guest.device.suspend();
    expect(guest.device.typeState()).toEqual(state);
    guest.device.resume();
    guest.close();
  },
);

/** A number below `end`, that jumps about with `seed`. */
const random = (seed: number, end: number): number => (Math.imul(seed + 1, 0x9e37_79b1) >>> 8) % end;
/** Moves under load with programs that die: few by default, as many as the proof has with RINGWIRE_MOVES=1000. */
const MOVES = Number(process.env['RINGWIRE_MOVES'] ?? 60);

test(`MG-22 ${MOVES} moves between vendors under load, programs dying at random: one side runs, no frame is lost or comes twice`, {
  timeout: 30 * 60_000,
}, () => {
  const guest = new MovingGuest(memory, ram, spare, wire, A, { bytes: SMALL });
  const places = [A, B, SIM];
  const ends = { moved: 0, stayed: 0 };
  for (let move = 0; move < MOVES; move++) {
    const to = places.filter((place) => place !== guest.at)[random(move, 2)]!;
    // Every third move nobody dies.
    let left = move % 3 === 2 ? Number.POSITIVE_INFINITY : 1 + random(move * 7, 70);
    const victim = random(move * 5, 2) === 0 ? 'source' : 'target';
    const { hasMoved, source, target } = guest.move(to, {
      frames: 1 + random(move, 4),
      point: (side) => {
        if (side === victim && --left === 0) throw new Killed();
      },
    });
    expect([source.state, target.state]).toEqual(hasMoved ? ['moved', 'runs'] : ['stayed', 'ended']);
    ends[hasMoved ? 'moved' : 'stayed']++;
    works(guest);
    // Numbers of frames have 16 bits.
    if (guest.driver.sent > 60_000) {
      guest.driver.heard.length = 0;
      guest.driver.sent = 0;
    }
  }
  expect(ends.moved).toBeGreaterThan(MOVES / 4);
  expect(ends.stayed).toBeGreaterThan(MOVES / 10);
  guest.close();
});
