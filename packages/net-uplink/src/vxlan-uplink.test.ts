import { createSocket, type Socket } from 'node:dgram';
import { readdirSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { HostMemory } from '@ringwire/guest-memory';
import { namespaceProblem, TestNamespace } from '@ringwire/linux/testing';
import { DELIVERED, type Delivered, EVERY_OFFLOAD } from '@ringwire/net-backend';
import { type FrameFields, ScriptedBackend, type ScriptedFrame } from '@ringwire/net-backend/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  ARP_REPLY,
  ARP_REQUEST,
  bytesOf,
  frameAt,
  GUEST,
  HOST,
  isArpReply,
  isIcmp,
  PING,
  PONG,
} from './testing/frames.js';
import type { Uplink } from './uplink.js';
import { VXLAN_BYTES, VxlanUplink, type VxlanUplinkOptions } from './vxlan-uplink.js';

const problem = namespaceProblem('veth');
const VNI = 0x12_3456;
const FRAMES_AT = 2 * VXLAN_BYTES;

let memory: HostMemory;
/** Two machines and the cable between them. */
let here: TestNamespace;
let there: TestNamespace;
const closing: { close(): void }[] = [];

beforeEach(({ skip }) => {
  if (problem !== undefined) return skip(`skipped, because ${problem}`);
  memory = HostMemory.create(FRAMES_AT + 0x2_0000);
  here = new TestNamespace();
  there = new TestNamespace();
  here.ip(`link add wire type veth peer name wire netns ${there.path}`);
  for (const [namespace, address] of [
    [here, 1],
    [there, 2],
  ] as const) {
    namespace.ip(`address add 198.51.100.${address}/24 dev wire`);
    namespace.ip(`address add 198.51.100.${address + 2}/24 dev wire`);
    namespace.ip(`-6 address add 2001:db8::${address}/64 dev wire nodad`);
    namespace.ip('link set wire up');
  }
});

afterEach(() => {
  for (const one of closing.splice(0)) one.close();
  for (const namespace of [here, there]) namespace?.close();
});

function uplink(namespace: TestNamespace, options: Partial<VxlanUplinkOptions> = {}): VxlanUplink {
  const at = namespace === here ? 0 : VXLAN_BYTES;
  const remote = namespace === here ? '198.51.100.2' : '198.51.100.1';
  const made = namespace.inside(() => new VxlanUplink({ memory, at, remote, vni: VNI, ...options }));
  closing.push(made);
  return made;
}

function device(of: Uplink): ScriptedBackend {
  const backend = new ScriptedBackend();
  of.attach(backend);
  return backend;
}

/** Sends and receives datagrams, byte by byte. */
async function rawSocket(namespace: TestNamespace, address: string, port: number): Promise<Socket> {
  // Its names are addresses, found at once: the socket is made before the namespace is left.
  const socket = createSocket({ type: 'udp4', lookup: (name, _options, found) => found(null, name, 4) });
  await new Promise<void>((resolve) => namespace.inside(() => socket.bind(port, address, resolve)));
  closing.push(socket);
  return socket;
}

const send = (by: Uplink, bytes: Uint8Array, fields: Partial<FrameFields> = {}, piece?: number): Delivered =>
  by.receive(frameAt(memory, FRAMES_AT, bytes, fields, piece));

/** Pump until something holds. */
async function until(of: Uplink, holds: () => boolean): Promise<void> {
  while (!holds()) {
    await turn();
    of.ready();
    of.pump(64);
  }
}

async function arrived(
  at: Uplink,
  backend: ScriptedBackend,
  isOne: (frame: ScriptedFrame) => boolean,
): Promise<Uint8Array> {
  await until(at, () => backend.frames.some(isOne));
  return backend.frames.find(isOne)!.bytes;
}

/** IPv4 and UDP, with a payload that tells flows apart. */
const udpFrame = (port: number, payload: number): Uint8Array => {
  const frame = new Uint8Array(42 + payload);
  frame.set(bytesOf(`${HOST} ${GUEST} 0800 4500 0000 0000 4000 4011 0000 0a000001 0a000002 0000 0007 0000 0000`));
  const view = new DataView(frame.buffer);
  view.setUint16(16, 28 + payload);
  view.setUint16(34, port);
  view.setUint16(38, 8 + payload);
  return frame;
};

test('RFC 7348 §5: a frame is a datagram to port 4789, flags and VNI in front of it, from a dynamic port of its flow', async () => {
  const socket = await rawSocket(there, '198.51.100.2', 4789);
  const heard: { bytes: Uint8Array; port: number; address: string }[] = [];
  socket.on('message', (bytes, { port, address }) => heard.push({ bytes: Uint8Array.from(bytes), port, address }));
  const up = uplink(here);
  expect(send(up, ARP_REQUEST, {}, 7)).toBe(DELIVERED.ACCEPTED);
  await until(up, () => heard.length === 1);
  expect(heard[0]!.bytes).toEqual(Uint8Array.of(8, 0, 0, 0, 0x12, 0x34, 0x56, 0, ...ARP_REQUEST));
  expect(heard[0]!.address).toBe('198.51.100.1');
  for (let port = 1; port <= 40; port++) for (const payload of [1, 2]) send(up, udpFrame(port, payload));
  await until(up, () => heard.length === 81);
  const ports = heard.map(({ port }) => port);
  expect(ports.filter((port) => port < 49_152)).toEqual([]);
  for (let flow = 0; flow < 40; flow++) expect(ports[1 + 2 * flow]).toBe(ports[2 + 2 * flow]);
  expect(new Set(ports).size).toBeGreaterThan(8);
  expect(up.counters).toMatchObject({ sent: 81, received: 0 });
});

test('RFC 7348 §4.3: nothing is fragmented; what the path does not carry is dropped and counted', async () => {
  const up = uplink(here);
  expect(here.inside(() => up.mtu)).toBe(1450);
  const socket = await rawSocket(there, '198.51.100.2', 4789);
  const lengths: number[] = [];
  socket.on('message', (bytes) => lengths.push(bytes.length));
  expect(send(up, udpFrame(1, 1464 - 42))).toBe(DELIVERED.ACCEPTED);
  expect(send(up, udpFrame(1, 1465 - 42))).toBe(DELIVERED.DROPPED);
  await until(up, () => lengths.length > 0);
  expect(lengths).toEqual([1472]);
  expect(up.counters.drops).toMatchObject({ tooLong: 1, refused: 0 });
});

test('what a sender left undone is done: each segment is a datagram of its own', async () => {
  const up = uplink(here);
  expect(up.offloads).toBe(EVERY_OFFLOAD);
  const socket = await rawSocket(there, '198.51.100.2', 4789);
  const heard: Uint8Array[] = [];
  socket.on('message', (bytes) => heard.push(Uint8Array.from(bytes)));
  const frame = udpFrame(9, 2500);
  expect(send(up, frame, { flags: 1, gsoType: 5, gsoSize: 1000, csumStart: 34, csumOffset: 6 })).toBe(
    DELIVERED.ACCEPTED,
  );
  await until(up, () => heard.length === 3);
  expect(heard.map(({ length }) => length)).toEqual([1050, 1050, 550]);
  // Total length and UDP length of the last one.
  expect([...heard[2]!.subarray(24, 26), ...heard[2]!.subarray(46, 48)]).toEqual([2, 0x10, 1, 0xfc]);
  expect(send(up, frame, { flags: 1, gsoType: 1, gsoSize: 1000, csumStart: 34, csumOffset: 6 })).toBe(
    DELIVERED.DROPPED,
  );
  expect(up.counters.drops.badOffload).toBe(1);
});

test.for([
  ['IPv4', '198.51.100.2', '198.51.100.1', 1450],
  ['IPv6', '2001:db8::2', '2001:db8::1', 1430],
] as const)('two ends exchange frames over %s', async ([, there6, here6, mtu]) => {
  const [a, b] = [uplink(here, { remote: there6 }), uplink(there, { remote: here6, local: there6 })];
  const [atA, atB] = [device(a), device(b)];
  for (let number = 0; number < 100; number++) send(a, udpFrame(number, number));
  await until(b, () => atB.frames.length === 100);
  expect(new Set(atB.bytes.map(({ length }) => length)).size).toBe(100);
  send(b, PING);
  expect(await arrived(a, atA, isIcmp)).toEqual(PING);
  expect([here.inside(() => a.mtu), a.counters.sent, b.counters.received, b.fd >= 0]).toEqual([mtu, 100, 100, true]);
});

test('what is no frame of this tunnel is dropped, counted and never seen', async () => {
  const up = uplink(here);
  const guest = device(up);
  const remote = await rawSocket(there, '198.51.100.2', 4789);
  const stranger = await rawSocket(there, '198.51.100.4', 4789);
  const header = [8, 0, 0, 0, 0x12, 0x34, 0x56, 0];
  const say = (bytes: number[], by = remote): void => by.send(Uint8Array.from(bytes), 4789, '198.51.100.1');
  const frame = [...ARP_REQUEST];
  const drops = { ...up.counters.drops };
  say([]);
  say([8]);
  say(header);
  say([...header, ...frame.slice(0, 13)]);
  say([0xf7, ...header.slice(1), ...frame]);
  drops.malformed += 5;
  say([8, 0, 0, 0, 0x12, 0x34, 0x57, 0, ...frame]);
  drops.otherVni += 1;
  say([...header, ...frame], stranger);
  drops.stranger += 1;
  for (const type of [
    [0x81, 0x00],
    [0x88, 0xa8],
  ])
    say([...header, ...frame.slice(0, 12), ...type, 0, 1, ...frame.slice(12)]);
  drops.tagged += 2;
  say([...header, ...Array(10_240 - 7).fill(2)]);
  drops.cut += 1;
  // Reserved bits are ignored: RFC 7348 §5.
  say([0xff, 1, 2, 3, 0x12, 0x34, 0x56, 9, ...frame]);
  expect(await arrived(up, guest, () => true)).toEqual(ARP_REQUEST);
  await until(up, () => up.counters.drops.cut > 0 && up.counters.drops.stranger > 0);
  expect(up.counters.drops).toEqual(drops);
  expect(guest.frames).toHaveLength(1);
});

test('RFC 7348 §6.1: frames with a VLAN tag pass where they are asked for only', async () => {
  const tagged = Uint8Array.of(...ARP_REQUEST.subarray(0, 12), 0x81, 0, 0, 5, ...ARP_REQUEST.subarray(12));
  const plain = uplink(here);
  expect(send(plain, tagged)).toBe(DELIVERED.DROPPED);
  expect(plain.counters.drops.tagged).toBe(1);
  plain.close();
  const [a, b] = [uplink(here, { tagged: true }), uplink(there, { tagged: true })];
  const guest = device(b);
  expect(send(a, tagged)).toBe(DELIVERED.ACCEPTED);
  expect(await arrived(b, guest, () => true)).toEqual(tagged);
});

test('a flood beyond what the kernel queues is lost there and counted, and the loop’s share is bounded', async () => {
  const up = uplink(here);
  const guest = device(up);
  const remote = uplink(there);
  for (let number = 0; number < 20_000; number++) send(remote, udpFrame(1, 1000));
  up.ready();
  expect(up.pump(100)).toBe(100);
  expect(up.counters.drops.overflow).toBeGreaterThan(0);
  let left = 100;
  for (let pumped = up.pump(1000); pumped > 0; pumped = up.pump(1000)) left += pumped;
  expect(left + up.counters.drops.overflow).toBe(20_000);
  expect(guest.frames).toHaveLength(left);
});

test('a guest without room is asked again with the same frame, and the rest waits in the kernel', async () => {
  const [a, b] = [uplink(here), uplink(there)];
  const guest = device(b);
  guest.answers.push(DELIVERED.FULL, DELIVERED.FULL);
  for (const number of [1, 2, 3]) send(a, udpFrame(number, number));
  await until(b, () => b.fd === -1);
  expect(guest.frames).toHaveLength(0);
  await until(b, () => guest.frames.length === 3);
  expect(guest.bytes.map(({ length }) => length)).toEqual([43, 44, 45]);
  expect(b.fd).toBeGreaterThan(0);
});

describe('a Linux vxlan device at the other end', () => {
  const unable = namespaceProblem('veth', 'vxlan');

  test('understands what is sent, and is understood: ARP and a ping by hand', async ({ skip }) => {
    if (unable !== undefined) return skip(`skipped, because ${unable}`);
    there.ip(`link add vx type vxlan id ${VNI} dstport 4789 remote 198.51.100.1 dev wire`);
    there.ip('link set vx address 02:00:00:00:00:01 up');
    there.ip('address add 192.0.2.1/24 dev vx');
    const up = uplink(here);
    const guest = device(up);
    send(up, ARP_REQUEST);
    expect((await arrived(up, guest, isArpReply)).subarray(0, 42)).toEqual(ARP_REPLY);
    send(up, PING, {}, 9);
    expect((await arrived(up, guest, isIcmp)).subarray(34, 46)).toEqual(PONG);
  });
});

test('a port in use, an address that is none or not here, and a VNI that is none are refused, and nothing stays open', () => {
  const first = uplink(here);
  const before = readdirSync('/proc/self/fd').length;
  const open = (options: Partial<VxlanUplinkOptions>) => () => uplink(here, options);
  expect(open({})).toThrow('bind: EADDRINUSE');
  expect(open({ local: '203.0.113.9' })).toThrow('bind: EADDRNOTAVAIL');
  expect(open({ remote: 'example' })).toThrow('no IPv4 or IPv6 address: example');
  expect(open({ remote: '2001:db8::2', local: '198.51.100.1' })).toThrow('of two families');
  expect(open({ vni: 0x100_0000 })).toThrow('vni is 16777216, want 0 to 16777215 (RFC 7348 §5)');
  expect(readdirSync('/proc/self/fd').length).toBe(before);
  first.close();
  first.close();
  expect(send(first, PING)).toBe(DELIVERED.DROPPED);
  expect(uplink(here).fd).toBeGreaterThan(0);
});

test('without a way to the remote frames are refused, and the MTU is not known', () => {
  const up = uplink(here, { remote: '203.0.113.9' });
  expect(send(up, PING)).toBe(DELIVERED.DROPPED);
  expect([up.counters.drops.refused, here.inside(() => up.mtu)]).toEqual([1, undefined]);
});
