import { ACCESS, HostMemory, IdentitySpace, PageAllocator, PRIVATE_AREA } from '@ringwire/guest-memory';
import { BUS_WORDS, InvalidationBus, IommuDomain, RequesterTable } from '@ringwire/iommu';
import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { ASKED, type ControlLayout, LIFE } from './control-layout.js';
import { WORKER_URL } from './device-thread.js';
import { ProtectedThread, protectionBytes } from './index.js';
import { RAM } from './testing/net-thread.js';
import { netModel, ProtectedStage, protectedConfig } from './testing/protected-stage.js';
import type { ThreadWorker } from './thread-worker.js';

const F = VIRTIO_F;
const LAYOUTS = [
  ['split', []],
  ['packed', [F.RING_PACKED]],
  ['split, in order, event indexes', [F.IN_ORDER, F.EVENT_IDX]],
  ['packed, in order, event indexes', [F.RING_PACKED, F.IN_ORDER, F.EVENT_IDX]],
] as const;
const KILLS = 25;

test.each(LAYOUTS)(
  'a thread that is ended anywhere under traffic in both directions: frames go through exactly once, %s',
  async (_, accept) => {
    const stage = new ProtectedStage({}, accept);
    for (const feature of accept) expect(hasFeature(stage.side.driver.features, feature)).toBe(true);
    expect(hasFeature(stage.side.driver.features, F.RING_PACKED)).toBe(
      (accept as readonly number[]).includes(F.RING_PACKED),
    );
    await stage.flow(200);
    for (let kill = 1; kill <= KILLS; kill++) {
      stage.thread.endThread();
      await stage.until(() => stage.thread.takeovers === kill);
      await stage.flow(20 + ((kill * 7) % 40));
    }
    expect(stage.problems).toEqual([]);
    // DRIVER_OK never left, and the driver restarted nothing.
    expect([stage.side.driver.state, stage.side.driver.counters.restarts]).toEqual(['running', 0]);
    expect(stage.tookOver).toEqual(Array.from({ length: KILLS }, () => 'standby'));
    await stage.close();
  },
);

test('threads come and go, and a fresh one of the first kind takes the device back: nothing is lost, and nothing left over', async () => {
  const stage = new ProtectedStage({ standby: netModel({ scratch: 0x1e0_0000 }) }, []);
  await stage.flow(100);
  for (let round = 1; round <= 5; round++) {
    stage.thread.endThread();
    await stage.until(() => stage.thread.takeovers === 2 * round - 1);
    expect(stage.thread.role).toBe('standby');
    const back = stage.thread.failBack();
    await stage.until(() => stage.thread.takeovers === 2 * round);
    await back;
    expect(stage.thread.role).toBe('primary');
    await stage.flow(50);
  }
  // Chunks of the private area: those of the driver here, of the serving thread and of the waiting one.
  expect(ownersOf(stage.memory).size).toBeLessThanOrEqual(3);
  await stage.close();
  expect(ownersOf(stage.memory).size).toBe(1);
});

/** Whose the chunks of a memory's private area are. */
function ownersOf({ wasm }: HostMemory): Set<number> {
  const { buffer } = wasm!;
  const { BYTES, TRAILER_BYTES, CHUNKS_AT, CHUNK_BYTES } = PRIVATE_AREA;
  const chunks = new Int32Array(buffer, buffer.byteLength - TRAILER_BYTES + CHUNKS_AT, BYTES / CHUNK_BYTES - 1);
  return new Set(chunks.filter((owner) => owner !== 0));
}

test('IO-19: behind an IOMMU, whoever unmaps waits for a thread that is ended in a burst only until the next one goes on', async () => {
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const sourceId = 0x18;
  let domain: IommuDomain | undefined;
  const stage = new ProtectedStage({}, [F.ACCESS_PLATFORM], {}, (memory) => {
    const physical = new IdentitySpace(memory);
    const allocator = new PageAllocator(0x1d0_0000, 0x10_0000);
    const sink = new InvalidationBus(words);
    const requesters = new RequesterTable({ physical, allocator, sink });
    domain = new IommuDomain({ id: 1, physical, allocator, sink });
    requesters.attach(sourceId, domain);
    domain.map(RAM.gpa, RAM.host, RAM.size, ACCESS.READ | ACCESS.WRITE);
    return { space: { type: 'vtd', rootTable: requesters.root, sourceId, bus: words } };
  });
  await stage.flow(100);
  for (let kill = 1; kill <= 8; kill++) {
    stage.thread.endThread();
    for (let n = 0; n < 50; n++) {
      domain!.map(0x1000, 0x1000, 0x1000, ACCESS.READ);
      domain!.unmap(0x1000, 0x1000);
    }
    await stage.until(() => stage.thread.takeovers === kill);
    await stage.flow(30);
  }
  expect(stage.problems).toEqual([]);
  // Lines of the bus: at most the serving thread and one that is on its way.
  const lines = Array.from({ length: 64 }, (_, index) => words[16 + 16 * index]!).filter((owner) => owner !== 0);
  expect(lines.length).toBeLessThanOrEqual(2);
  await stage.close();
});

test('a device that no thread can go on with needs a reset, and its driver is told', async () => {
  // What goes on has no memory to work in: it breaks down each time.
  const stage = new ProtectedStage({ standby: netModel({ scratch: 0x8000_0000 }) }, []);
  await stage.flow(50);
  stage.thread.endThread();
  const end = performance.now() + 20_000;
  while (stage.told.length < 3 && performance.now() < end) await stage.turn();
  // Its reset makes a new one, of the first kind.
  expect(stage.told.toSorted()).toEqual([
    'DEVICE_NEEDS_RESET is set (virtio 1.4 §2.1.2)',
    'died: VirtioError: at is 2147483648, want 1032 bytes from there in the memory (OffloadEngine)',
    'restarted',
  ]);
  await stage.close();
});

const moduleOf = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;

/** What workers run, with something before it in each that is told to run a device: by `order`. */
function workerWith(code: string): URL {
  const first = `import { workerData } from 'node:worker_threads';
    const { port } = workerData;
    port.on('message', (order) => { if (order.type === 'run') { ${code} } });`;
  // Modules run in the order in which they are imported, and listeners in that in which they were added.
  const imports = [moduleOf(first), WORKER_URL.href].map((url) => `import ${JSON.stringify(url)};`);
  return new URL(moduleOf(imports.join('')));
}

test('threads that end by themselves, one after the other and without a word, are not replaced for ever', async () => {
  const memory = HostMemory.create(0x200_0000);
  const thread = new ProtectedThread(protectedConfig(memory), { workerUrl: workerWith('process.exit(3);') });
  await expect(thread.ready).rejects.toThrow('exit with code 3');
  expect(thread.takeovers).toBe(0);
  await thread.close();
});

test('a thread that hangs and is ended after it was asked to leave: the one that goes on does not leave in its place', async () => {
  // The standby hangs as soon as it has the device.
  const workerUrl = workerWith(`if (order.config.model.scratch === 0x1e00000) {
    const post = port.postMessage.bind(port);
    port.postMessage = (message) => {
      post(message);
      if (message.type === 'ready') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    };
  }`);
  const stage = new ProtectedStage({ standby: netModel({ scratch: 0x1e0_0000 }) }, [], { workerUrl });
  await stage.flow(50);
  stage.thread.endThread();
  // No turn of the driver's meanwhile: its register accesses would wait for the thread that hangs.
  await expect.poll(() => stage.thread.takeovers, { timeout: 20_000 }).toBe(1);
  const back = stage.thread.failBack();
  const { words, layout } = stage.thread.link as unknown as { words: Int32Array; layout: ControlLayout };
  await expect.poll(() => Atomics.load(words, layout.asked), { timeout: 20_000 }).toBe(ASKED.LEAVE);
  stage.thread.endThread();
  await stage.until(() => stage.thread.takeovers === 2);
  await back;
  await stage.flow(200);
  expect([stage.thread.role, stage.tookOver]).toEqual(['primary', ['standby', 'primary']]);
  await stage.close();
});

test('a supervisor that ends takes its threads along: the device needs a reset, nobody waits for ever, and a reset makes it anew', async () => {
  const stage = new ProtectedStage({}, []);
  await stage.flow(50);
  const { thread } = stage;
  const end = (): void => (thread as unknown as { supervisor: ThreadWorker }).supervisor.terminate();
  const back = thread.failBack();
  end();
  await expect(back).rejects.toThrow('the supervisor ended: exit with code 1');
  await expect(thread.failBack()).rejects.toThrow('there is no device to go back with');
  expect([thread.isProtected, ownersOf(stage.memory).size]).toEqual([false, 1]);
  const limit = performance.now() + 20_000;
  while (stage.told.length < 3 && performance.now() < limit) await stage.turn();
  expect(stage.told.toSorted()).toEqual([
    'DEVICE_NEEDS_RESET is set (virtio 1.4 §2.1.2)',
    'died: the supervisor ended: exit with code 1',
    'restarted',
  ]);
  // What was under way went with the threads: from here on it is as ever, another thread standing by.
  const { received } = stage.peer;
  while ((!thread.isProtected || stage.peer.received < received + 50) && performance.now() < limit) await stage.turn();
  expect([thread.isProtected, stage.side.driver.state]).toEqual([true, 'running']);
  end();
  await thread.close();
  expect(thread.link.life).toBe(LIFE.CLOSED);
  stage.side.driver.close();
  expect(ownersOf(stage.memory).size).toBe(1);
});

test('mistakes of a configuration are named; how much memory it takes is told', () => {
  const memory = HostMemory.create(0x200_0000);
  const make = (more: object) => () => new ProtectedThread({ ...protectedConfig(memory), ...more } as never);
  expect(make({ standby: netModel({ mtu: 9000 }) })).toThrow('standby.mtu is 9000, want undefined, the model');
  expect(make({ keep: 0x1c0_0001 })).toThrow('keep is 29360129, want a multiple of 64');
  expect(make({ model: { type: 'entropy' } })).toThrow('model.type is entropy, want net');
  const backend = [{ type: 'null' }, { type: 'null' }];
  expect(make({ model: netModel({ backend: backend as never, pairs: 2 }) })).toThrow('model.backend is 2, want one');
  expect(protectionBytes(netModel())).toBe(protectionBytes(netModel({ rxQueueSize: 256 })));
  expect(protectionBytes(netModel({ txQueueSize: 1024 })) - protectionBytes(netModel())).toBe(768 * 16);
});
