import { isDeepStrictEqual } from 'node:util';
import { HostMemory } from '@ringwire/guest-memory';
import { filesOf } from '@ringwire/virtio-device';
import { expect, test } from 'vitest';
import { DeviceThread } from './device-thread.js';
import { EntropySide } from './testing/entropy-side.js';
import { loopbackThread, NetSide, netMemory, numberedFrame, TRANSPORTS } from './testing/net-thread.js';

const url = new URL('testing/failing-model.mjs', import.meta.url).href;

test.each(TRANSPORTS)(
  'a device that runs, and sleeps, in another thread is saved and explained from here, %s',
  async (transport) => {
    const memory = netMemory();
    const thread = new DeviceThread(loopbackThread(transport, memory));
    expect((await thread.explain())[0]).toBe('DRIVER_OK is not set: the status is 0x0 (none).');
    let received = 0;
    const side = new NetSide(thread.link, memory, { frame: () => received++ });
    side.driver.sendBytes(numberedFrame(1));
    while (received < 1) expect(side.attend()).toBe(true);
    while (!thread.link.isDeviceAsleep) await new Promise((done) => setTimeout(done, 5));
    const { snapshot, reasons, pages } = await thread.save();
    expect(snapshot).toMatchObject({ deviceType: 'NET', live: true, transport: { kind: transport } });
    expect(snapshot.queues.slice(0, 2).map(({ counters }) => counters?.used)).toEqual([1, 1]);
    expect(await thread.explain()).toEqual(reasons);
    expect(pages.length).toBeGreaterThan(0);
    const files = filesOf({ snapshot, reasons, pages });
    expect(isDeepStrictEqual(JSON.parse(files['device.json']), snapshot)).toBe(true);
    await thread.close();
    expect(await thread.explain()).toEqual(["the device's thread is closed."]);
  },
);

test('of a thread that died, or does not come back, it is said why; nobody waits for ever', async () => {
  const memory = HostMemory.create(0x10_0000);
  const count = new Int32Array(new SharedArrayBuffer(8));
  for (const [how, want] of [
    ['throw', "the device's thread ended: Error: the model broke down."],
    ['hang', "the device's thread did not answer in 1000 ms."],
  ] as const) {
    let tell: () => void = () => {};
    const died = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const model = { type: 'module', url, options: { how, count } } as const;
    const patienceMs = how === 'hang' ? 1000 : 60_000;
    const thread = new DeviceThread({ transport: 'mmio', model, memory: memory.wasm! }, { patienceMs, died: tell });
    await thread.ready;
    const side = new EntropySide(thread.link, memory);
    side.start();
    side.kick();
    if (how === 'throw') await died;
    else while (Atomics.load(count, 1) === 0) await new Promise((done) => setTimeout(done, 5));
    expect(await thread.explain()).toEqual([want]);
    await thread.close();
  }
});
