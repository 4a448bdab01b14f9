import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { HostMemory } from '@ringwire/guest-memory';
import {
  accept,
  close,
  connectUnix,
  listenUnix,
  NOT_NOW,
  newEvent,
  PollSet,
  SystemError,
  send,
  signalEvent,
  takeEvent,
} from '@ringwire/linux';
import { NullBackend } from '@ringwire/net-backend';
import { PeerMemory } from '@ringwire/peer-memory';
import { NET_SCRATCH_BYTES, NetDevice } from '@ringwire/virtio-device';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type LoopTask, VhostUserServer, type VhostUserServerOptions } from './server.js';
import { longs, RawPeer, words } from './testing/raw-peer.js';
import { connection, held } from './testing/session-stage.js';

let directory: string;
let paths: string[];
let ends: string[];
let now: number;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-server-'));
  paths = [join(directory, 'a.sock'), join(directory, 'b.sock')];
  ends = [];
  now = 0;
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** @param change what one of the devices is to be */
function server(
  options: Partial<VhostUserServerOptions> = {},
  change: (model: NetDevice, index: number) => NetDevice = (model) => model,
  connect = false,
): VhostUserServer {
  const memory = HostMemory.create(0x200_0000);
  const devices = paths.map((path, index) => {
    const mac = Uint8Array.of(2, 0, 0, 0, 0, index);
    const scratch = index * NET_SCRATCH_BYTES;
    const model = new NetDevice({ memory, scratch, backend: new NullBackend(), mac, features: [5] });
    return { path, model: change(model, index), connect };
  });
  const start = 2 * NET_SCRATCH_BYTES;
  return new VhostUserServer({
    devices,
    memory: new PeerMemory(memory, start, memory.size - start),
    now: () => now,
    onEnd: (_path, reason) => ends.push(reason),
    ...options,
  });
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

async function answered(peer: RawPeer): Promise<number> {
  let answer = peer.answer();
  while (answer === undefined) {
    await turn();
    answer = peer.answer();
  }
  return answer.id;
}

const GET_FEATURES = words(1, 1, 0);

test('two sockets are served, and closing the server ends connections, sockets and descriptors', async () => {
  const before = held().fds;
  const served = server();
  const running = served.run();
  const peers = paths.map((path) => new RawPeer(connectUnix(path)));
  for (const peer of peers) send(peer.socket, GET_FEATURES);
  for (const peer of peers) expect(await answered(peer)).toBe(1);
  expect(paths.map((path) => served.isConnected(path))).toEqual([true, true]);
  served.close();
  served.close();
  await running;
  expect(peers.map(({ isOpen }) => isOpen)).toEqual([false, false]);
  expect(paths.map((path) => existsSync(path))).toEqual([false, false]);
  expect(ends).toEqual(['the server was closed', 'the server was closed']);
  for (const { socket } of peers) close(socket);
  expect(held().fds).toBe(before);
});

test('VU-02: a front-end that sends half a message holds nobody up, and is cut off in time', async () => {
  const served = server();
  const running = served.run();
  const [silent, other] = paths.map((path) => new RawPeer(connectUnix(path)));
  send(silent!.socket, GET_FEATURES.subarray(0, 7));
  send(other!.socket, GET_FEATURES);
  expect(await answered(other!)).toBe(1);
  now = 4_900_000;
  send(other!.socket, GET_FEATURES);
  expect(await answered(other!)).toBe(1);
  expect(ends).toEqual([]);
  now = 5_100_000;
  await until(() => ends.length > 0);
  expect(ends).toEqual(['a message that began was never whole']);
  served.close();
  await running;
  for (const { socket } of [silent!, other!]) close(socket);
});

test('what comes over the back-end’s own channel is served as well', async () => {
  const served = server();
  const running = served.run();
  const [client, channel] = connection();
  const peer = new RawPeer(connectUnix(paths[0]!));
  peer.send(16, longs(1n << 5n));
  peer.send(21, new Uint8Array(0), [channel]);
  await until(() => served.isConnected(paths[0]!));
  send(client, new Uint8Array(20));
  await until(() => ends.length > 0);
  expect(ends).toEqual(['what came over the back-end’s channel answers nothing']);
  served.close();
  await running;
  for (const fd of [client, channel, peer.socket]) close(fd);
});

test('NX-09: a message at which a device type throws ends its connection, and no other', async () => {
  const before = held().fds;
  let isBad = true;
  const served = server({}, (model, index) =>
    index === 1
      ? model
      : Object.create(model, {
          features: {
            get: () => {
              if (isBad) throw new Error('the device type has a defect');
              return model.features;
            },
          },
        }),
  );
  const running = served.run();
  const peers = paths.map((path) => new RawPeer(connectUnix(path)));
  for (const peer of peers) send(peer.socket, GET_FEATURES);
  expect(await answered(peers[1]!)).toBe(1);
  await until(() => !peers[0]!.isOpen);
  expect(ends).toEqual(['the device cannot go on: the device type has a defect']);
  // The others go on, and so does its socket.
  isBad = false;
  const next = new RawPeer(connectUnix(paths[0]!));
  for (const peer of [next, peers[1]!]) send(peer.socket, GET_FEATURES);
  for (const peer of [next, peers[1]!]) expect(await answered(peer)).toBe(1);
  served.close();
  await running;
  for (const { socket } of [...peers, next]) close(socket);
  expect(held().fds).toBe(before);
});

test('VU-26: a second front-end on a socket is turned away, and the next one after the first is served', async () => {
  const served = server();
  const running = served.run();
  const before = held().fds;
  for (let round = 0; round < 20; round++) {
    const first = new RawPeer(connectUnix(paths[0]!));
    await until(() => served.isConnected(paths[0]!));
    const second = new RawPeer(connectUnix(paths[0]!));
    await until(() => !second.isOpen);
    send(first.socket, GET_FEATURES);
    expect(await answered(first)).toBe(1);
    close(first.socket);
    close(second.socket);
    await until(() => !served.isConnected(paths[0]!));
  }
  expect(ends).toEqual(Array(20).fill('the connection ended'));
  expect(held().fds).toBe(before);
  served.close();
  await running;
});

test('a server whose sockets cannot be made lets go of those that were', () => {
  const before = held().fds;
  paths[1] = join(directory, 'none', 'b.sock');
  expect(() => server()).toThrow(SystemError);
  expect(existsSync(paths[0]!)).toBe(false);
  expect(held().fds).toBe(before);
});

test('a server that never ran is let go of', () => {
  const before = held().fds;
  server().close();
  expect(existsSync(paths[0]!)).toBe(false);
  expect(held().fds).toBe(before);
});

describe('where front-ends listen', () => {
  async function accepted(listener: number): Promise<RawPeer> {
    let socket = accept(listener);
    while (socket < 0) {
      await turn();
      socket = accept(listener);
    }
    return new RawPeer(socket);
  }

  /** Long enough for a server that would come to have come. */
  async function nobody(listener: number): Promise<void> {
    for (let n = 0; n < 100; n++) await turn();
    expect(accept(listener)).toBe(NOT_NOW);
  }

  test('they are reached, and reached again when they were gone, by however many connections', async () => {
    const before = held().fds;
    const listeners = paths.map((path) => listenUnix(path));
    const served = server({}, undefined, true);
    const running = served.run();
    const other = await accepted(listeners[1]!);
    for (let round = 0; round < 5; round++) {
      const peer = await accepted(listeners[0]!);
      send(peer.socket, GET_FEATURES);
      expect(await answered(peer)).toBe(1);
      close(peer.socket);
      await until(() => !served.isConnected(paths[0]!));
      now += 100_000;
    }
    send(other.socket, GET_FEATURES);
    expect(await answered(other)).toBe(1);
    served.close();
    await running;
    // The sockets are the front-ends' own.
    expect(paths.map((path) => existsSync(path))).toEqual([true, true]);
    for (const fd of [...listeners, other.socket]) close(fd);
    expect(held().fds).toBe(before);
  });

  test('a front-end that is not there, or says nothing, is tried less and less often', async () => {
    const served = server({}, undefined, true);
    const running = served.run();
    // Tried at 0, and due at 0.1 s; then 0.2 s later.
    now = 100_000;
    for (let n = 0; n < 100; n++) await turn();
    const listener = listenUnix(paths[0]!);
    now = 299_999;
    await nobody(listener);
    now = 300_000;
    const silent = await accepted(listener);
    close(silent.socket);
    await until(() => ends.length > 0);
    // 0.4 s were next, and a connection without a word does not make it less: 0.8 s from its end on.
    now = 1_099_999;
    await nobody(listener);
    now = 1_100_000;
    const peer = await accepted(listener);
    send(peer.socket, GET_FEATURES);
    expect(await answered(peer)).toBe(1);
    served.close();
    await running;
    for (const fd of [listener, peer.socket]) close(fd);
  });

  test('a path that is too long is the caller’s mistake', () => {
    const before = held().fds;
    paths[1] = join(directory, 'x'.repeat(108));
    expect(() => server({}, undefined, true)).toThrow(RangeError);
    expect(held().fds).toBe(before);
  });
});

test('a task is pumped when its descriptor is ready, however long the loop had waited', async () => {
  const event = newEvent();
  const heard: string[] = [];
  const task: LoopTask = {
    fd: event,
    ready: () => heard.push(takeEvent(event) ? 'ready' : 'ready in vain'),
    pump: () => (heard.at(-1) === 'ready' ? heard.push('work') : 0),
  };
  const idle: LoopTask = { fd: -1, ready: () => heard.push('never'), pump: () => 0 };
  const served = server({ tasks: [idle, task] });
  const running = served.run();
  for (let round = 1; round <= 3; round++) {
    signalEvent(event);
    await until(() => heard.length >= 2 * round);
  }
  expect(heard).toEqual(['ready', 'work', 'ready', 'work', 'ready', 'work']);
  served.close();
  await running;
  close(event);
});

test('a task that has to be pumped at some time is waited for no longer than that', async () => {
  const wait = vi.spyOn(PollSet.prototype, 'wait');
  const task: LoopTask = { fd: -1, ready: () => {}, pump: () => 0, deadline: () => 7900 };
  const served = server({ tasks: [task] });
  const running = served.run();
  await until(() => wait.mock.calls.length > 0);
  expect(wait.mock.calls[0]).toEqual([7]);
  served.close();
  await running;
  wait.mockRestore();
});

test('a port tells of a front-end that connects, and its end is told with the reason only', async () => {
  const told: string[] = [];
  const served = server({ onState: (path, state) => told.push(`${paths.indexOf(path)} ${state}`) });
  const running = served.run();
  expect(served.states).toEqual(['listening', 'listening']);
  const peer = new RawPeer(connectUnix(paths[1]!));
  await until(() => told.length > 0);
  expect(served.states).toEqual(['listening', 'connected']);
  close(peer.socket);
  await until(() => ends.length > 0);
  expect([told, served.states]).toEqual([['1 connected'], ['listening', 'listening']]);
  served.close();
  await running;
});

test('a device with more queues than rings can be numbered is refused, and no socket is made', () => {
  const memory = HostMemory.create(0x200_0000);
  const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const model = new NetDevice({
    memory,
    scratch: 0,
    backend: new NullBackend(),
    mac,
    pairs: 129,
    externalControl: true,
  });
  const peers = new PeerMemory(memory, NET_SCRATCH_BYTES, memory.size - NET_SCRATCH_BYTES);
  const make = (): unknown => new VhostUserServer({ devices: [{ path: paths[0]!, model }], memory: peers });
  expect(make).toThrow('queues is 258, want at most 256 (VhostUserServer)');
  expect(existsSync(paths[0]!)).toBe(false);
});
