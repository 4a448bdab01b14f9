import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { SENT } from '@ringwire/guest-drivers';
import { ACCESS, HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import { BUS_WORDS, InvalidationBus, IommuDomain, RequesterTable } from '@ringwire/iommu';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { build } from 'esbuild';
import { expect, test } from 'vitest';
import { sourceAliases } from '../../../tools/source-aliases.mjs';
import { LIFE } from './control-layout.js';
import { DeviceThread, type ThreadOptions } from './device-thread.js';
import { EntropySide, S } from './testing/entropy-side.js';
import { loopbackThread, NetSide, netMemory, numberedFrame, TRANSPORTS } from './testing/net-thread.js';
import type { ThreadConfig } from './thread-config.js';
import { type SpawnWorker, spawnWorker, type ThreadWorker } from './thread-worker.js';

const url = new URL('testing/failing-model.mjs', import.meta.url).href;
const RUNNING = S.ACK | S.DRIVER | S.FEATURES | S.OK;

interface Stage {
  readonly memory: HostMemory;
  readonly thread: DeviceThread;
  readonly told: string[];
  /** Why it died, once it has. */
  readonly died: Promise<string>;
}

/** A device of a type that fails when it is notified. */
function failing(
  how: string,
  change: Partial<ThreadConfig> = {},
  options: ThreadOptions = {},
  count?: Int32Array,
): Stage {
  const memory = HostMemory.create(0x10_0000);
  const told: string[] = [];
  let tell: (reason: string) => void = () => {};
  const died = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const thread = new DeviceThread(
    {
      transport: 'mmio',
      model: { type: 'module', url, options: { how, ...(count === undefined ? {} : { count }) } },
      memory: memory.wasm!,
      ...change,
    },
    {
      interrupts: {
        message: (_low, _high, data, vector) => told.push(`vector ${vector}, data ${data}`),
        level: (asserted) => told.push(asserted ? 'up' : 'down'),
      },
      died: tell,
      ...options,
    },
  );
  return { memory, thread, told, died };
}

/** The platform's workers, with a handle on each. */
function captured(): { readonly workers: ThreadWorker[]; readonly spawn: SpawnWorker } {
  const workers: ThreadWorker[] = [];
  return {
    workers,
    spawn: (place, events) => {
      const worker = spawnWorker(place, events);
      workers.push(worker);
      return worker;
    },
  };
}

test.each([
  ['throw', 'Error: the model broke down'],
  ['exit', 'exit with code 3'],
] as const)(
  'dev.basic.status.2,.3: a thread ended by %s: DEVICE_NEEDS_RESET, an interrupt, and a reset brings a new one',
  async (how, reason) => {
    const { memory, thread, told, died } = failing(how);
    const { link } = thread;
    const side = new EntropySide(link, memory);
    side.start();
    side.kick();
    // Told before this thread's event loop hears of it.
    expect(link.waitForInterrupt(10_000)).toBe(1);
    expect([told, link.life]).toEqual([['up'], LIFE.DEAD]);
    expect(link.read(0x070, 4)).toBe(RUNNING | S.NEEDS_RESET);
    expect([link.read(0x000, 4), link.read(0x101, 1)]).toEqual([0xffff_ffff, 0xff]);
    expect(link.read(0x060, 4)).toBe(2); // InterruptStatus: configuration change
    link.write(0x064, 4, 2);
    expect([link.read(0x060, 4), link.takeInterrupts(), told[1]]).toEqual([0, 1, 'down']);
    side.kick();
    link.write(0x070, 4, RUNNING);
    expect(link.read(0x070, 4)).toBe(RUNNING | S.NEEDS_RESET);
    expect([await died, thread.deaths]).toEqual([reason, 1]);

    link.write(0x070, 4, 0);
    expect([link.read(0x070, 4), link.read(0x000, 4), link.life]).toEqual([0, 0x7472_6976, LIFE.RUNNING]);
    side.start();
    expect(link.read(0x070, 4)).toBe(RUNNING);
    await thread.close();
  },
);

test('NX-09: a register access that throws in the device’s thread is answered, and the device needs a reset', async () => {
  const { memory, thread, told, died } = failing('write');
  const { link } = thread;
  new EntropySide(link, memory).start();
  link.write(0x100, 4, 1);
  // Answered before this thread's event loop hears of anything.
  expect([link.timeouts, link.read(0x070, 4), link.life]).toEqual([0, RUNNING | S.NEEDS_RESET, LIFE.DEAD]);
  expect([link.waitForInterrupt(10_000), told]).toEqual([1, ['up']]);
  expect(await died).toBe('Error: the model broke down');
  link.write(0x070, 4, 0);
  expect([link.read(0x070, 4), link.life]).toEqual([0, LIFE.RUNNING]);
  await thread.close();
});

test('NX-09: a worker that says what is no message is given up, and nothing is thrown into the event loop', async () => {
  const said: ((value: unknown) => void)[] = [];
  const spawn: SpawnWorker = (place, events) => {
    said.push((value) => events.message(value));
    return spawnWorker(place, events);
  };
  const { thread, died } = failing('throw', {}, { spawn });
  await thread.ready;
  for (const value of [{ type: 'ready', more: 1 }, 'closed', null, { type: 'failed' }])
    expect(() => said[0]!(value)).not.toThrow();
  expect(await died).toBe('the worker said something that is no message');
  expect([thread.link.life, thread.deaths]).toEqual([LIFE.DEAD, 1]);
  await thread.close();
});

test.each([
  ['MSI-X', true, ['vector 0, data 64']],
  ['the pin', false, ['up']],
] as const)(
  'a PCI function whose thread died interrupts by %s, and keeps its addresses through the reset',
  async (_, msix, interrupts) => {
    const { memory, thread, told } = failing('throw', { transport: 'pci' });
    const { link } = thread;
    const side = new EntropySide(link, memory, { msix });
    side.start();
    side.kick();
    expect(link.waitForInterrupt(10_000)).toBe(1);
    expect(told).toEqual(interrupts);
    if (!msix) {
      expect(side.transport.interruptCause()).toBe(2);
      expect([link.takeInterrupts(), told[1]]).toEqual([1, 'down']);
      expect(side.transport.interruptCause()).toBe(0);
    }
    expect(side.transport.status()).toBe(RUNNING | S.NEEDS_RESET);
    expect([link.configRead(0, 4), link.configRead(0x10, 4)]).toEqual([0x1044_1af4, 0xfe00_0004]);
    expect(link.barRead(0, 0, 4)).toBe(0xffff_ffff);

    side.transport.setStatus(0);
    expect([side.transport.status(), link.life]).toEqual([0, LIFE.RUNNING]);
    expect([link.configRead(0x04, 2) & 6, link.configRead(0x10, 4)]).toEqual([6, 0xfe00_0004]);
    side.start();
    side.kick();
    expect(link.waitForInterrupt(10_000)).toBe(1);
    expect(told.at(-1)).toBe(interrupts[0]);
    await thread.close();
  },
);

test('a device dies alone: another one in the same process and memory goes on', async () => {
  const { memory, thread } = failing('throw');
  const other = new DeviceThread({ transport: 'mmio', model: { type: 'entropy' }, memory: memory.wasm! });
  const side = new EntropySide(thread.link, memory);
  side.start();
  side.kick();
  expect(thread.link.waitForInterrupt(10_000)).toBe(1);
  const survivor = new EntropySide(other.link, memory);
  survivor.start();
  survivor.offer();
  expect(survivor.waitForUsed()).toBe(1);
  await Promise.all([thread.close(), other.close()]);
});

test('a thread that was terminated is noticed, from a sleep too', async () => {
  const { spawn, workers } = captured();
  const { memory, thread, told, died } = failing('throw', {}, { spawn });
  new EntropySide(thread.link, memory).start();
  while (!thread.link.isDeviceAsleep) await new Promise((resolve) => setTimeout(resolve, 5));
  workers[0]!.terminate();
  expect(await died).toBe('exit with code 1');
  expect([thread.link.takeInterrupts(), told]).toEqual([1, ['up']]);
  expect(thread.link.read(0x070, 4)).toBe(RUNNING | S.NEEDS_RESET);
  await thread.close();
});

test('a device type that never comes back: registers read all ones after a while, and closing ends it', async () => {
  const { memory, thread } = failing('hang', {}, { patienceMs: 1000 });
  await thread.ready;
  const side = new EntropySide(thread.link, memory);
  side.start();
  side.kick();
  // Within the step now, or soon.
  while (thread.link.timeouts === 0) thread.link.read(0x070, 4);
  expect(thread.link.read(0x070, 4)).toBe(0xffff_ffff);
  await thread.close();
  expect(thread.link.life).toBe(LIFE.CLOSED);
});

test.each(['terminated', 'closed'] as const)('a thread that is %s within a burst holds up no unmap', async (how) => {
  const memory = HostMemory.create(0x100_0000);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const count = new Int32Array(new SharedArrayBuffer(8));
  const physical = new IdentitySpace(memory);
  const allocator = new PageAllocator(0x80_0000, 0x40_0000);
  const sink = new InvalidationBus(words);
  const requesters = new RequesterTable({ physical, allocator, sink });
  const domain = new IommuDomain({ id: 1, physical, allocator, sink });
  requesters.attach(0x18, domain);
  domain.map(0x1_0000, 0x1_0000, 0x2_0000, ACCESS.READ | ACCESS.WRITE);
  const { spawn, workers } = captured();
  const space = { type: 'vtd', rootTable: requesters.root, sourceId: 0x18, bus: words } as const;
  const { thread, died } = failing('hang', { memory: memory.wasm!, space }, { spawn, patienceMs: 1000 }, count);
  await thread.ready;
  const side = new EntropySide(thread.link, memory, { accept: [VIRTIO_F.ACCESS_PLATFORM] });
  side.start();
  side.kick();
  while (Atomics.load(count, 1) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  if (how === 'terminated') {
    workers[0]!.terminate();
    await died;
  } else await thread.close();
  // Would wait for the end of the burst.
  domain.unmap(0x1_0000, 0x2_0000);
  await thread.close();
});

test('a driver in a third thread resets a dead device', async () => {
  const { memory, thread, died } = failing('throw');
  const side = new EntropySide(thread.link, memory);
  side.start();
  side.kick();
  await died;
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('testing/reset-thread.ts', import.meta.url))],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    alias: sourceAliases(),
  });
  const driver = new Worker(outputFiles[0]!.text, { eval: true, workerData: thread.link.place });
  const said = await new Promise((resolve, reject) => {
    driver.once('message', resolve);
    driver.once('error', reject);
  });
  expect(said).toEqual({ before: RUNNING | S.NEEDS_RESET, after: 0, magic: 0x7472_6976 });
  await driver.terminate();
  await thread.close();
});

test.each(TRANSPORTS)(
  'a network driver recovers when its device’s thread is terminated under traffic, %s',
  async (transport) => {
    const memory = netMemory();
    const { spawn, workers } = captured();
    let tell: (reason: string) => void = () => {};
    const died = new Promise((resolve) => {
      tell = resolve;
    });
    const thread = new DeviceThread(loopbackThread(transport, memory), { spawn, died: (reason) => tell(reason) });
    const told: string[] = [];
    let received = 0;
    let damaged = 0;
    const side = new NetSide(
      thread.link,
      memory,
      {
        frame: (frame) => {
          received++;
          const bytes = frame.bytes();
          const want = numberedFrame(new DataView(bytes.buffer).getUint32(14));
          if (Buffer.compare(bytes, want) !== 0) damaged++;
        },
        broken: (_why, again) => told.push(again ? 'broken, to be tried again' : 'broken'),
        restarted: () => told.push('restart'),
      },
      { recovery: { tries: 5, pause: 1 }, patience: { tries: 1000 } },
    );
    let sent = 0;
    const until = async (done: () => boolean): Promise<void> => {
      for (let turn = 0; !done(); turn++) {
        if (turn === 1000)
          throw new Error(`${told}, ${thread.deathReason}: ${side.driver.state} after ${received} frames`);
        while (sent - received < 50 && side.driver.sendBytes(numberedFrame(sent)) === SENT.OK) sent++;
        side.attend(5);
        side.driver.watch();
        // The event loop, where the worker's end is heard of.
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    await until(() => received > 500);
    workers[0]!.terminate();
    await died;
    await until(() => told.includes('restart'));
    // What was under way is lost.
    sent = received;
    const before = received;
    await until(() => received > before + 500);
    expect([told, damaged, workers.length]).toEqual([['broken, to be tried again', 'restart'], 0, 2]);
    side.driver.close();
    await thread.close();
  },
);
