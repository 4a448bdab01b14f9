import { readSync } from 'node:fs';
import { close, newMemoryFile, takeEvent } from '@ringwire/linux';
import { DELIVERED, type NetBackend } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { isVdpaRefusal, simParent, type VdpaDevice, type VdpaParent } from '@ringwire/vdpa';
import { ixgbeParent, vendorBParent } from '@ringwire/vdpa-vendors';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { factsOf } from './device-facts.js';
import { joined, long, longs, words } from './testing/raw-peer.js';
import { held, type MakeVdpa, PACKED, RAM, SessionStage, SPLIT, usedOf } from './testing/session-stage.js';

const LOG_ALL = 1n << 26n;
const MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const FRAME_AT = RAM.gpa + 0x9000;
const frame = (value: number): Uint8Array => Uint8Array.from({ length: 60 }, (_, at) => (at < 6 ? MAC[at]! : value));
/** 12 bytes of virtio_net_hdr that ask for nothing, and the frame. */
const sent = (value: number): Uint8Array => joined(new Uint8Array(12), frame(value));
const NOWHERE: NetBackend = { offloads: 0, attach: () => {}, receive: () => DELIVERED.DROPPED, pump: () => 0 };

const deviceOf = (parent: VdpaParent) => {
  const device = parent.add('one', { mac: MAC });
  if (isVdpaRefusal(device)) throw new Error(device.message);
  return device;
};

const net = { externalControl: true, holdWhenFull: true, rxQueueSize: 16, txQueueSize: 16 };
const card = (make: typeof ixgbeParent): MakeVdpa => {
  return (host, backend) =>
    deviceOf(make(host, { name: 'card', functions: 1, net, backend: (place) => (place < 0 ? NOWHERE : backend) }));
};
const DEVICES: readonly (readonly [name: string, make: MakeVdpa])[] = [
  ['82599', card(ixgbeParent)],
  ['vendor B', card(vendorBParent)],
  ['simulator', (host, backend) => deviceOf(simParent(host, { backend: () => backend, device: net }))],
];

let stage: SessionStage;
let before: ReturnType<typeof held>;
let file: number;

function open(make: MakeVdpa): void {
  stage = new SessionStage({}, 'both', make);
}

beforeEach(() => {
  before = held();
  file = newMemoryFile('guest-log', 0x4_0000);
});

afterEach(() => {
  stage.end();
  close(file);
  expect(held().fds).toBe(before.fds);
  // Nothing of the front-end's is within the device's reach any more.
  expect(stage.vdpa!.mappings(0)).toEqual([]);
  expect(stage.vdpa!.status).toBe(0);
});

/** Turns until nothing happens. */
function settle(): void {
  for (let left = 20; left > 0; left--) stage.turn();
}

/** A frame each way, and what of it the front-end's driver sees. */
function exchange(
  features: bigint,
  value: number,
  rx = stage.openDriver(0, features),
  tx = stage.openDriver(1, features),
) {
  rx.addWritable(FRAME_AT, 1526);
  rx.publish();
  stage.guest.memory.u8.set(sent(value), RAM.offset + 0xb000);
  tx.addReadable(RAM.gpa + 0xb000, 72);
  tx.publish();
  for (const ring of [0, 1]) stage.session.port.kicked(stage.session.port.vrings[ring]!);
  settle();
  stage.backend.bring(frame(value + 1));
  settle();
  expect(stage.session.problem ?? stage.session.port.broken).toBeUndefined();
  expect(stage.backend.bytes.at(-1)).toEqual(frame(value));
  expect([usedOf(rx), usedOf(tx)]).toMatchObject([[{ written: 72 }], [{ written: 0 }]]);
  expect(stage.guest.memory.u8.subarray(RAM.offset + 0x9000 + 12, RAM.offset + 0x9000 + 72)).toEqual(frame(value + 1));
  return { rx, tx };
}

const baseOf = (ring: number): number => new DataView(stage.ask(11, words(ring, 0))!.buffer).getUint32(4, true);

describe.each(DEVICES)('a vDPA device behind a socket: %s', (_, make) => {
  beforeEach(() => open(make));

  test('offers what reaches a driver through kicks and calls: mappings are the host’s, and it keeps no record of chains in flight', () => {
    const features = long(stage.ask(1)!);
    const has = (bit: number): boolean => (features & (1n << BigInt(bit))) !== 0n;
    // MAC, MRG_RXBUF, LOG_ALL, INDIRECT_DESC, EVENT_IDX, the protocol's, VERSION_1, RING_PACKED.
    expect([5, 15, 26, 28, 29, 30, 32, 34].filter((bit) => !has(bit))).toEqual([]);
    // ACCESS_PLATFORM, NOTIFICATION_DATA, RING_RESET, ADMIN_VQ.
    expect([33, 38, 40, 41].filter(has)).toEqual([]);
    // Without RARP 2, NET_MTU 4 and INFLIGHT_SHMFD 12.
    expect(long(stage.ask(15)!)).toBe(0x1_e22bn);
    stage.say(16, longs(0x1_e22bn & ~(1n << 14n)));
    expect(stage.ask(24, joined(words(0, 6, 0), new Uint8Array(6)))).toEqual(joined(words(0, 6, 0), MAC));
  });

  test.each([
    ['split', SPLIT],
    ['packed', PACKED],
  ] as const)('frames go both ways and calls come, %s', (_, features) => {
    stage.setUp(features);
    stage.start();
    exchange(features, 0x11);
    expect([takeEvent(stage.calls[0]!), takeEvent(stage.calls[1]!)]).toEqual([true, true]);
  });

  test.each([
    ['split', SPLIT, [3, 3]],
    // One round counter and position for available descriptors, and the same for used ones.
    ['packed', PACKED, [0x8003_8003, 0x8003_8003]],
  ] as const)('a base says where the ring stands, and the ring goes on there, %s', (_, features, bases) => {
    stage.setUp(features);
    stage.start();
    const { rx, tx } = exchange(features, 1);
    exchange(features, 3, rx, tx);
    exchange(features, 5, rx, tx);
    const told = [baseOf(0), baseOf(1)];
    expect(told).toEqual(bases);
    stage.session.close();
    stage.reconnect();
    stage.setUp(features, told);
    stage.start();
    exchange(features, 7, rx, tx);
  });

  test('while memory changes nothing is lost, and the device has the new mappings', () => {
    stage.setUp(SPLIT);
    stage.start();
    const { rx, tx } = exchange(SPLIT, 1);
    stage.say(5, stage.memTable(), [stage.file]);
    expect(stage.vdpa!.mappings(0)).toMatchObject([{ iova: RAM.gpa, bytes: RAM.size }]);
    exchange(SPLIT, 3, rx, tx);
  });

  test('what the device wrote is in the log before a base is told, and now and then before', () => {
    stage.setUp(SPLIT);
    stage.say(16, longs((1n << 1n) | (1n << 3n)));
    stage.start();
    const { rx, tx } = exchange(SPLIT, 1);
    stage.say(6, longs(0x2_8020, 0), [file]);
    expect(stage.peer.answer()?.payload).toEqual(longs(0));
    stage.say(2, longs(SPLIT | LOG_ALL));
    exchange(SPLIT, 3, rx, tx);
    stage.time += 100_000;
    settle();
    const page = (gpa: number): number => Math.floor(gpa / 4096);
    const written = [page(RAM.gpa + 0x3000), page(RAM.gpa + 0x7000), page(FRAME_AT)];
    expect(marked()).toEqual(written);
    for (const ring of [0, 1]) baseOf(ring);
    expect(marked()).toEqual(written);
    expect(stage.session.problem).toBeUndefined();
  });

  test('a stop that comes before the next look at what was written waits for it', () => {
    stage.setUp(SPLIT);
    stage.say(16, longs((1n << 1n) | (1n << 3n)));
    stage.say(6, longs(0x2_8020, 0), [file]);
    stage.say(2, longs(SPLIT | LOG_ALL));
    stage.start();
    const rx = stage.openDriver(0, SPLIT);
    stage.session.port.finishTurn();
    rx.addWritable(FRAME_AT, 1526);
    rx.publish();
    stage.backend.bring(frame(9));
    stage.session.port.kicked(stage.session.port.vrings[0]!);
    for (let left = 10; left > 0; left--) stage.session.port.step(8);
    baseOf(0);
    expect(marked()).toContain(Math.floor(FRAME_AT / 4096));
  });

  test('UP: rings that cannot be where they are, features that there are not, and a reset', () => {
    stage.setUp(SPLIT);
    stage.say(16, longs(0x1_2008));
    stage.say(
      9,
      joined(words(0, 0), longs(RAM.userspace + RAM.size - 16, RAM.userspace + 0x3000, RAM.userspace + 0x2000, 0)),
    );
    stage.say(12, longs(0), [stage.kicks[0]!]);
    stage.say(18, words(0, 1), [], 9);
    expect(stage.peer.answer()).toMatchObject({ id: 18, payload: longs(1) });
    expect(stage.session.refusal).toMatch(/ring 0/);
    stage.say(2, longs(1n << 33n), [], 9);
    expect(stage.peer.answer()).toMatchObject({ id: 2, payload: longs(1) });
    // RESET_DEVICE: memory stays.
    stage.say(34, new Uint8Array(0));
    stage.setUp(SPLIT);
    stage.start();
    exchange(SPLIT, 1);
    stage.say(16, longs(0x1_2008));
    stage.say(34, new Uint8Array(0));
    expect(stage.vdpa!.status).toBe(0);
    expect(stage.session.problem).toBeUndefined();
  });

  test('a ring that cannot be trusted ends the connection, and the next one works', () => {
    stage.setUp(SPLIT);
    stage.start();
    // The available index says 1000 buffers in a ring of 16.
    stage.guest.memory.u8.set([0, 0, 0xe8, 3], RAM.offset + 0x6000);
    stage.session.port.kicked(stage.session.port.vrings[1]!);
    settle();
    expect(stage.session.port.broken).toMatch(/^the vDPA device cannot go on/);
    stage.session.close();
    stage.guest.memory.u8.fill(0, RAM.offset, RAM.offset + 0x8000);
    stage.reconnect();
    stage.setUp(SPLIT);
    stage.start();
    exchange(SPLIT, 1);
  });
});

test('a device that does not suspend is no device for a front-end', () => {
  open(DEVICES[2]![1]);
  const abilities = { ...stage.vdpa!.abilities, suspend: false };
  const vdpa: VdpaDevice = Object.create(stage.vdpa!, { abilities: { value: abilities } });
  expect(() => factsOf({ vdpa })).toThrow(
    'abilities.suspend is missing, want a device that stops and starts ring by ring',
  );
});

test('features that were refused together with a ring do not stay', () => {
  open(DEVICES[0]![1]);
  stage.setUp(SPLIT);
  stage.say(16, longs(8));
  stage.say(
    9,
    joined(words(0, 0), longs(RAM.userspace + RAM.size - 16, RAM.userspace + 0x3000, RAM.userspace + 0x2000, 0)),
  );
  stage.say(12, longs(0), [stage.kicks[0]!]);
  stage.say(18, words(0, 1), [], 9);
  expect(stage.peer.answer()).toMatchObject({ id: 18, payload: longs(1) });
  stage.setUp(PACKED);
  stage.start();
  exchange(PACKED, 1);
});

test.each([
  ['split', SPLIT],
  ['packed', PACKED],
] as const)('one vendor’s card goes on where the other one’s stood, %s', (_, features) => {
  const cable = new ScriptedBackend();
  let other: VdpaDevice | undefined;
  open((host, backend) => {
    other = DEVICES[1]![1](host, cable);
    return DEVICES[0]![1](host, backend);
  });
  stage.setUp(features);
  stage.start();
  const { rx, tx } = exchange(features, 1);
  const bases = [baseOf(0), baseOf(1)];
  stage.session.close();
  stage.vdpa = other;
  stage.backend = cable;
  stage.reconnect();
  stage.setUp(features, bases);
  stage.start();
  exchange(features, 3, rx, tx);
  exchange(features, 5, rx, tx);
});

/** Numbers of the pages whose bits are set in the log. */
function marked(): number[] {
  const bytes = new Uint8Array(0x4_0000);
  readSync(file, bytes, 0, bytes.length, 0);
  return [...bytes].flatMap((byte, at) =>
    [0, 1, 2, 3, 4, 5, 6, 7].filter((bit) => (byte & (1 << bit)) !== 0).map((bit) => at * 8 + bit),
  );
}
