import { createSocket, type Socket } from 'node:dgram';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { HostMemory } from '@ringwire/guest-memory';
import { interfaceMtu, PollSet, SystemError } from '@ringwire/linux';
import { namespaceProblem, TestNamespace } from '@ringwire/linux/testing';
import { DELIVERED, type Frame, frameBytes } from '@ringwire/net-backend';
import { type FrameFields, ScriptedBackend, type ScriptedFrame } from '@ringwire/net-backend/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { TAP_BYTES, TapUplink } from './tap-uplink.js';
import {
  ARP_REPLY,
  ARP_REQUEST,
  bytesOf,
  frameAt,
  GUEST,
  HOST,
  isArpReply,
  isIcmp,
  isUdp,
  PING,
  PONG,
} from './testing/frames.js';

const problem = namespaceProblem('tap');
const FRAME_AT = TAP_BYTES;
/** Of the namespace that one is in. */
const NEW_WITHOUT_IPV6 = '/proc/sys/net/ipv6/conf/default/disable_ipv6';

let memory: HostMemory;
let namespace: TestNamespace;
let tap: TapUplink;
let guest: ScriptedBackend;

beforeEach(({ skip }) => {
  if (problem !== undefined) return skip(`skipped, because ${problem}`);
  memory = HostMemory.create(FRAME_AT + 0x1_0000);
  namespace = new TestNamespace();
  tap = namespace.inside(() => new TapUplink({ memory, at: 0, name: 'tap0', mtu: 1400 }));
  namespace.ip('link set tap0 address 02:00:00:00:00:01');
  namespace.ip('address add 192.0.2.1/24 dev tap0');
  guest = new ScriptedBackend();
  tap.attach(guest);
});

afterEach(() => {
  if (problem !== undefined) return;
  tap.close();
  namespace.close();
});

const frameOf = (bytes: Uint8Array, fields: Partial<FrameFields> = {}, piece?: number): Frame =>
  frameAt(memory, FRAME_AT, bytes, fields, piece);

/** Wait until the guest was brought a frame that is one. */
async function arrived(isOne: (frame: ScriptedFrame) => boolean): Promise<ScriptedFrame> {
  for (;;) {
    const found = guest.frames.find(isOne);
    if (found !== undefined) return found;
    await turn();
    tap.ready();
    tap.pump(64);
  }
}

async function socketInside(): Promise<Socket> {
  // Its names are addresses, found at once: the socket is made before the namespace is left.
  const socket = createSocket({ type: 'udp4', lookup: (name, _options, found) => found(null, name, 4) });
  await new Promise<void>((resolve) => namespace.inside(() => socket.bind(5000, '192.0.2.1', resolve)));
  return socket;
}

test('the kernel answers ARP and a ping that a guest sends by hand', async () => {
  expect(tap.receive(frameOf(ARP_REQUEST))).toBe(DELIVERED.ACCEPTED);
  const answer = await arrived(isArpReply);
  expect(answer.bytes.subarray(0, 42)).toEqual(ARP_REPLY);
  expect(tap.receive(frameOf(PING, {}, 5))).toBe(DELIVERED.ACCEPTED);
  const pong = await arrived(isIcmp);
  expect(pong.bytes.subarray(34, 46)).toEqual(PONG);
  expect(tap.counters.sent).toBe(2);
});

test('a frame that lies in another memory is sent as it is there', async () => {
  const other = HostMemory.wrap(new ArrayBuffer(0x1000));
  expect(tap.receive(frameAt(other, 0x100, ARP_REQUEST, {}, 9))).toBe(DELIVERED.ACCEPTED);
  expect((await arrived(isArpReply)).bytes.subarray(0, 42)).toEqual(ARP_REPLY);
});

test('virtio 1.4 §5.1.9.2: a checksum that a guest left to be done arrives done, and one of the kernel is left to the guest', async () => {
  const socket = await socketInside();
  const heard = new Promise<Buffer>((resolve) => socket.once('message', resolve));
  // UDP from port 7 to 5000; its checksum field holds the pseudo-header's sum: c000 + 0202 + c000 + 0201 + 0011 + 000c.
  const udp = '0007 1388 000c 8421 61626364';
  const datagram = `${HOST} ${GUEST} 0800 4500 0020 0000 4000 4011 b6c9 c0000202 c0000201 ${udp}`;
  const fields = { flags: 1, csumStart: 34, csumOffset: 6 };
  expect(tap.receive(frameOf(bytesOf(datagram), fields))).toBe(DELIVERED.ACCEPTED);
  expect((await heard).toString()).toBe('abcd');
  namespace.ip('neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev tap0');
  socket.send('wxyz', 7, '192.0.2.2');
  const got = await arrived(isUdp);
  expect(got).toMatchObject({ flags: 1, gsoType: 0, csumStart: 34, csumOffset: 6 });
  expect([...got.bytes.subarray(-4)]).toEqual([...Buffer.from('wxyz')]);
  socket.close();
});

test('with several queues a pair of queues has its own, and is answered by it', async () => {
  expect(tap.moreFds).toEqual([]);
  tap.close();
  tap = namespace.inside(() => {
    // What IPv6 says of itself when an interface comes up would come by queues of its own choice.
    if (existsSync(NEW_WITHOUT_IPV6)) writeFileSync(NEW_WITHOUT_IPV6, '1');
    return new TapUplink({ memory, at: 0, name: 'tap0', queues: 3 });
  });
  namespace.ip('link set tap0 address 02:00:00:00:00:01');
  namespace.ip('address add 192.0.2.1/24 dev tap0');
  namespace.ip('neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev tap0');
  tap.attach(guest);
  expect(new Set([tap.fd, ...tap.moreFds]).size).toBe(3);
  const set = new PollSet(3);
  // Pair 5 has the queue of pair 2.
  for (const [pair, queue] of [
    [2, 2],
    [0, 0],
    [1, 1],
    [5, 2],
  ] as const) {
    // The kernel notes where a flow is when it has answered already: the second answer is the one that counts.
    guest.frames.length = 0;
    expect(tap.receive(frameOf(PING, { pair }))).toBe(DELIVERED.ACCEPTED);
    await arrived(isIcmp);
    guest.frames.length = 0;
    expect(tap.receive(frameOf(PING, { pair }))).toBe(DELIVERED.ACCEPTED);
    set.clear();
    for (const fd of [tap.fd, ...tap.moreFds]) set.add(fd);
    await set.wait(5000);
    // Whoever waits for its descriptors is woken by any of them.
    expect([0, 1, 2].filter((at) => set.isReady(at))).toEqual([queue]);
    expect((await arrived(isIcmp)).pair).toBe(queue);
  }
  tap.close();
  expect([tap.fd, tap.moreFds]).toEqual([-1, []]);
});

test('an interface has as many queues as it was made for', () => {
  const queues = (wanted: number): TapUplink =>
    namespace.inside(() => new TapUplink({ memory, at: 0, name: 'tap0', queues: wanted }));
  // The one that is there has one queue, which is in use.
  expect(() => queues(2)).toThrow(SystemError);
  expect(() => queues(0)).toThrow('queues is 0, want 1 to 256');
  expect(() => queues(257)).toThrow('queues is 257, want 1 to 256');
});

test('a frame to be segmented is taken whole', async () => {
  const socket = await socketInside();
  const heard: number[] = [];
  socket.on('message', (message) => heard.push(message.length));
  // 3 datagrams in one: lengths of all, cut by 1000 bytes. Pseudo-header c000 + 0202 + c000 + 0201 + 0011 + 0a08.
  const headers = bytesOf(`${HOST} ${GUEST} 0800 4500 0a1c 0000 4000 4011 accd c0000202 c0000201 0007 1388 0a08 8e1d`);
  const bytes = new Uint8Array(headers.length + 2560);
  bytes.set(headers);
  const fields = { flags: 1, gsoType: 5, gsoSize: 1000, csumStart: 34, csumOffset: 6 };
  expect(tap.receive(frameOf(bytes, fields, 700))).toBe(DELIVERED.ACCEPTED);
  while (heard.length < 3) await turn();
  expect(heard).toEqual([1000, 1000, 560]);
  socket.close();
});

test('a guest without room is asked again, and the next frame is not read before', async () => {
  namespace.ip('neigh add 192.0.2.2 lladdr 02:00:00:00:00:02 dev tap0');
  const socket = await socketInside();
  tap.attach({
    get offloads() {
      return guest.offloads;
    },
    receive: (frame) => (isUdp({ bytes: frameBytes(frame) }) ? guest.receive(frame) : DELIVERED.DROPPED),
  });
  guest.answers.push(DELIVERED.FULL, DELIVERED.FULL, DELIVERED.ACCEPTED, DELIVERED.DROPPED);
  const fd = tap.fd;
  for (const word of ['one', 'two']) socket.send(word, 7, '192.0.2.2');
  while (tap.fd >= 0) {
    await turn();
    tap.ready();
    tap.pump(64);
  }
  expect(tap.pump(64)).toBe(0);
  expect([tap.fd, guest.frames.length]).toEqual([-1, 0]);
  const before = tap.counters.drops.undelivered;
  while (guest.answers.length > 0) {
    await turn();
    tap.ready();
    tap.pump(64);
  }
  expect(guest.frames.map(({ bytes }) => Buffer.from(bytes.subarray(42)).toString())).toEqual(['one']);
  expect(tap.counters.drops.undelivered).toBeGreaterThan(before);
  expect(tap.fd).toBe(fd);
  socket.close();
});

test('the MTU is the interface’s; a name that no interface can have, and an interface of another kind, are refused', () => {
  expect(namespace.inside(() => interfaceMtu('tap0'))).toBe(1400);
  const before = readdirSync('/proc/self/fd').length;
  const open = (name: string, mtu?: number) => () =>
    namespace.inside(() => new TapUplink({ memory, at: 0, name, ...(mtu === undefined ? {} : { mtu }) }));
  expect(open('sixteen-letters-')).toThrow(RangeError);
  expect(open('a/b')).toThrow(RangeError);
  expect(open('lo')).toThrow('TUNSETIFF: EINVAL');
  expect(open('tap0')).toThrow('TUNSETIFF: EBUSY');
  expect(open('tap1', 70_000)).toThrow('SIOCSIFMTU: EINVAL');
  expect(readdirSync('/proc/self/fd').length).toBe(before);
  expect(() => namespace.inside(() => interfaceMtu('tap1'))).toThrow(SystemError);
});

test('an interface that goes ends the uplink, and a closed one takes nothing', async () => {
  namespace.ip('link delete tap0');
  const set = new PollSet(1);
  set.add(tap.fd);
  await set.wait(60_000);
  tap.ready();
  tap.pump(1);
  expect([tap.problem, tap.fd]).toEqual(['the interface is gone', -1]);
  expect(tap.receive(frameOf(new Uint8Array(60)))).toBe(DELIVERED.DROPPED);
  expect(tap.counters.drops).toEqual({ refused: 1, scattered: 0, undelivered: 0 });
});
