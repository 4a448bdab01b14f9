import { ACCESS, HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import { BUS_WORDS, InvalidationBus, IommuDomain, RequesterTable } from '@ringwire/iommu';
import { VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { LIFE } from './control-layout.js';
import { DeviceThread, type ThreadOptions } from './device-thread.js';
import { BUFFER, EntropySide, S } from './testing/entropy-side.js';
import { TRANSPORTS, type TransportName } from './testing/net-thread.js';
import type { ThreadConfig } from './thread-config.js';

interface Stage {
  readonly memory: HostMemory;
  readonly thread: DeviceThread;
  /** Interrupts, as the handlers were told of them. */
  readonly told: string[];
}

function entropyThread(
  transport: TransportName,
  change: Partial<ThreadConfig> = {},
  options: ThreadOptions = {},
): Stage {
  const memory = HostMemory.create(0x10_0000);
  const told: string[] = [];
  const interrupts = {
    message: (low: number, high: number, data: number, vector: number) =>
      told.push(`${vector}: ${low} ${high} ${data}`),
    level: (asserted: boolean) => told.push(asserted ? 'up' : 'down'),
  };
  const config = { transport, model: { type: 'entropy' }, memory: memory.wasm!, ...change } as const;
  return { memory, thread: new DeviceThread(config, { interrupts, ...options }), told };
}

/** Let the device's thread do what it is at. @returns times that it went to sleep, which it does now */
async function untilAsleep({ thread: { link } }: Stage, sleepsBefore = 0): Promise<number> {
  while (!link.isDeviceAsleep || link.deviceSleeps <= sleepsBefore) await new Promise((done) => setTimeout(done, 5));
  return link.deviceSleeps;
}

test('registers are read while the thread is still on its way, before any await', async () => {
  const { thread } = entropyThread('mmio');
  expect(thread.link.life).toBe(LIFE.STARTING);
  expect(thread.link.read(0x000, 4)).toBe(0x7472_6976); // MagicValue
  expect(thread.link.read(0x008, 4)).toBe(4); // DeviceID
  expect(thread.link.life).toBe(LIFE.RUNNING);
  await thread.ready;
  await thread.close();
});

test('a PCI function in a thread: configuration space, BARs and widths as inline', async () => {
  const { thread } = entropyThread('pci');
  const { link } = thread;
  expect([link.configRead(0, 2), link.configRead(2, 2)]).toEqual([0x1af4, 0x1044]);
  expect(link.configRead(0x1003, 4)).toBe(0xffff_ffff);
  expect(link.barRead(0, 0, 1)).toBe(0xff); // not decoded yet
  link.configWrite(0x10, 4, 0xffff_ffff);
  expect(link.configRead(0x10, 4) & 0xf).toBe(4); // a 64-bit memory BAR
  expect(link.barRead(0, -1, 4)).toBe(0xffff_ffff);
  expect(link.barRead(0, 0.5, 2)).toBe(0xffff);
  expect(() => link.read(0, 4)).toThrow('transport is pci, want mmio for this access (DeviceLink)');
  await thread.close();
});

test.each(TRANSPORTS)(
  'a driver on this thread has its buffers filled by a device on another, %s',
  async (transport) => {
    const { memory, thread, told } = entropyThread(transport);
    const side = new EntropySide(thread.link, memory);
    side.start();
    for (let round = 0; round < 100; round++) {
      memory.u8.fill(0, BUFFER, BUFFER + 16);
      side.offer();
      expect(side.waitForUsed()).toBe(1);
      expect(memory.u8.subarray(BUFFER, BUFFER + 16).some((byte) => byte !== 0)).toBe(true);
    }
    expect(told[0]).toBe(transport === 'pci' ? `1: ${0xfee0_0000} 0 ${0x41}` : 'up');
    await thread.close();
  },
);

test.each(TRANSPORTS)(
  '200000 times both sides sleep and are woken by what event indexes ask for, and no notification is lost, %s',
  async (transport) => {
    const { memory, thread } = entropyThread(transport, { spinTurns: 0 });
    const side = new EntropySide(thread.link, memory, { accept: [VIRTIO_F.EVENT_IDX] });
    side.start();
    let kicks = 0;
    for (let round = 0; round < 200_000; round++) {
      if (side.offer()) kicks++;
      // Each few rounds the driver is late, so that the device finds its way to sleep first.
      for (let late = (round * 37) % 300; late > 0; late--) Atomics.load(thread.link.place.words, 0);
      if (side.waitForUsed() !== 1) throw new Error(`round ${round}: nothing came back`);
    }
    expect(kicks).toBeGreaterThan(1000);
    expect(thread.link.deviceSleeps).toBeGreaterThan(1000);
    await thread.close();
  },
  240_000,
);

test('an idle device sleeps: no turn is taken until somebody wants something', async () => {
  const stage = entropyThread('mmio');
  const { memory, thread } = stage;
  const side = new EntropySide(thread.link, memory);
  side.start();
  side.offer();
  side.waitForUsed();
  const sleeps = await untilAsleep(stage);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect([thread.link.isDeviceAsleep, thread.link.deviceSleeps]).toEqual([true, sleeps]);
  side.offer();
  expect(side.waitForUsed()).toBe(1);
  await untilAsleep(stage, sleeps);
  await thread.close();
});

test.each(TRANSPORTS)('interrupts come by callback from the event loop, %s', async (transport) => {
  const { memory, thread, told } = entropyThread(transport);
  const side = new EntropySide(thread.link, memory);
  side.start();
  expect(thread.link.listen()).toBe(true);
  side.offer();
  while (told.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  expect(side.collect()).toBe(1);
  expect(told).toEqual([transport === 'pci' ? `1: ${0xfee0_0000} 0 ${0x41}` : 'up']);
  thread.link.stopListening();
  await thread.close();
});

test('a closed device reads as all ones, and its memory is left alone', async () => {
  const { memory, thread } = entropyThread('mmio');
  const side = new EntropySide(thread.link, memory);
  side.start();
  await thread.close();
  expect(thread.link.life).toBe(LIFE.CLOSED);
  expect(thread.link.read(0x070, 4)).toBe(0xffff_ffff);
  const before = memory.u8.slice();
  side.offer();
  side.kick();
  expect(side.collect()).toBe(0);
  expect(memory.u8.subarray(BUFFER, BUFFER + 16)).toEqual(before.subarray(BUFFER, BUFFER + 16));
  await thread.close();
});

test('NX-10: a flood of kicks is one notification for each time the device looks, and never more than a word', async () => {
  const count = new Int32Array(new SharedArrayBuffer(8));
  const url = new URL('testing/failing-model.mjs', import.meta.url).href;
  const model = { type: 'module', url, options: { how: 'configuration change', count } } as const;
  const { memory, thread } = entropyThread('mmio', { model });
  const side = new EntropySide(thread.link, memory);
  side.start();
  const before = thread.link.place.words.length;
  for (let kick = 0; kick < 1_000_000; kick++) side.kick();
  // Beyond the queues there are: the device itself ignores them.
  for (const queue of [1, 63, 64, 0xffff, 0xffff_ffff]) thread.link.write(0x050, 4, queue);
  expect(Atomics.load(count, 0)).toBeGreaterThan(0);
  expect(Atomics.load(count, 0)).toBeLessThan(1_000_000);
  expect(thread.link.place.words.length).toBe(before);
  expect(side.transport.status()).toBe(S.ACK | S.DRIVER | S.FEATURES | S.OK);
  await thread.close();
});

test.each(TRANSPORTS)('NG-13: a kick after a reset touches no memory, %s', async (transport) => {
  const stage = entropyThread(transport);
  const { memory, thread } = stage;
  const side = new EntropySide(thread.link, memory);
  side.start();
  side.transport.setStatus(0);
  expect(side.transport.status()).toBe(0);
  side.queue.addWritable(BUFFER, 16);
  side.queue.publish();
  const before = memory.u8.slice();
  const sleeps = await untilAsleep(stage);
  side.kick();
  await untilAsleep(stage, sleeps);
  expect(Buffer.compare(memory.u8, before)).toBe(0);
  await thread.close();
});

test.each(TRANSPORTS)(
  'NG-14: once a reset with 1000 chains in flight reads as done, no memory is written and no interrupt comes, %s',
  async (transport) => {
    const { memory, thread, told } = entropyThread(transport, { model: { type: 'entropy', queueSize: 1024 } });
    const side = new EntropySide(thread.link, memory, { size: 1024 });
    let unanswered = 0;
    for (let round = 0; round < 50; round++) {
      side.start();
      for (let buffer = 0; buffer < 1000; buffer++) side.queue.addWritable(BUFFER + 16 * buffer, 16);
      side.queue.publish();
      side.kick();
      side.transport.setStatus(0);
      expect(side.transport.status()).toBe(0);
      thread.link.takeInterrupts();
      told.length = 0;
      const before = memory.u8.slice(0x1_0000, 0x3_0000);
      for (let look = 0; look < 20; look++) side.transport.status();
      expect(Buffer.compare(memory.u8.slice(0x1_0000, 0x3_0000), before)).toBe(0);
      thread.link.takeInterrupts();
      expect(told).toEqual([]);
      unanswered += 1000 - side.collect();
    }
    // Some resets did come in the middle: otherwise nothing was in flight.
    expect(unanswered).toBeGreaterThan(0);
    await thread.close();
  },
);

test('a notification of a PCI function that does not decode its BAR reaches nobody', async () => {
  const count = new Int32Array(new SharedArrayBuffer(8));
  const url = new URL('testing/failing-model.mjs', import.meta.url).href;
  const model = { type: 'module', url, options: { how: 'configuration change', count } } as const;
  const stage = entropyThread('pci', { model });
  const { link } = stage.thread;
  const side = new EntropySide(link, stage.memory);
  side.start();
  await untilAsleep(stage);
  const atStart = Atomics.load(count, 0);
  link.configWrite(0x04, 2, 0x4); // bus mastering alone
  side.kick();
  link.configWrite(0x04, 2, 0x6);
  expect(Atomics.load(count, 0)).toBe(atStart);
  const sleeps = await untilAsleep(stage);
  side.kick();
  await untilAsleep(stage, sleeps);
  expect(Atomics.load(count, 0)).toBe(atStart + 1);
  await stage.thread.close();
});

test('a device behind VT-d reaches what is mapped for it, until it is unmapped', async () => {
  const memory = HostMemory.create(0x100_0000);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const physical = new IdentitySpace(memory);
  const allocator = new PageAllocator(0x80_0000, 0x40_0000);
  const sink = new InvalidationBus(words);
  const requesters = new RequesterTable({ physical, allocator, sink });
  const domain = new IommuDomain({ id: 1, physical, allocator, sink });
  requesters.attach(0x18, domain);
  const RW = ACCESS.READ | ACCESS.WRITE;
  domain.map(0x1_0000, 0x1_0000, 0x1_0000, RW); // the rings, where they are
  domain.map(BUFFER, 0x5_0000, 0x1000, RW); // the buffer somewhere else
  const space = { type: 'vtd', rootTable: requesters.root, sourceId: 0x18, bus: words } as const;
  const { thread } = entropyThread('mmio', { memory: memory.wasm!, space });
  const side = new EntropySide(thread.link, memory, { accept: [VIRTIO_F.ACCESS_PLATFORM] });
  side.start();
  const isFilled = (): boolean => memory.u8.subarray(0x5_0000, 0x5_0010).some((byte) => byte !== 0);
  side.offer();
  expect([side.waitForUsed(), isFilled()]).toEqual([1, true]);
  domain.unmap(BUFFER, 0x1000);
  memory.u8.fill(0, 0x5_0000, 0x5_0010);
  side.offer();
  // Given back empty.
  expect([side.waitForUsed(), isFilled()]).toEqual([1, false]);
  await thread.close();
});

test('what no device can be is refused at the door, by its name', () => {
  const memory = HostMemory.create(0x1_0000).wasm!;
  const make = (change: object) => () =>
    new DeviceThread({ transport: 'mmio', model: { type: 'entropy' }, memory, ...change } as ThreadConfig);
  expect(make({ transport: 'usb' })).toThrow('transport is usb, want');
  expect(make({ model: { type: 'entropy', queueSize: 0 } })).toThrow('model.queueSize is 0, want');
  expect(make({ memory: { buffer: new ArrayBuffer(8) } })).toThrow('want a shared WebAssembly.Memory (DeviceThread)');
  expect(make({ vectors: 2049 })).toThrow('vectors is 2049, want');
  expect(make({ speed: 1 })).toThrow('speed');
  const lanes = { type: 'net', backend: [{ type: 'null' }, { type: 'null' }], scratch: 0, mac: [2, 0, 0, 0, 0, 1] };
  expect(make({ transport: 'pci', model: lanes, admin: {} })).toThrow('none with queue threads');
});

test('what only the thread can find out rejects `ready`, and the registers are dead', async () => {
  const { thread } = entropyThread('mmio', { model: { type: 'entropy', queueSize: 3 } });
  await expect(thread.ready).rejects.toThrow('queueSizes is 3, want 0, or a power of two');
  expect(thread.link.read(0x000, 4)).toBe(0xffff_ffff);
  expect(thread.link.read(0x070, 4)).toBe(S.NEEDS_RESET);
  await thread.close();
});
