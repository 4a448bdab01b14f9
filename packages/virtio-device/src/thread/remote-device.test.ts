import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { featureWords } from '@ringwire/virtio-spec';
import { type DriverQueue, openDriverQueue, UsedBurst } from '@ringwire/virtqueue';
import { build } from 'esbuild';
import { beforeAll, describe, expect, test } from 'vitest';
import type { EntropyOrder } from '../testing/entropy-thread.js';
import { REG } from '../testing/mmio-face.js';
import { COMMON } from '../testing/pci-face.js';
import { REGISTER_SPACE } from './device-thread.js';
import { RemoteDevice } from './remote-device.js';
import { newThreadPlace } from './thread-words.js';

const packages = fileURLToPath(new URL('../../../', import.meta.url));
const [DESC, DRIVER, DEVICE, BUFFERS] = [0x1000, 0x2000, 0x3000, 0x4000];
const SIZE = 16;
let code = '';

/** The worker runs the sources that the test is about. */
beforeAll(async () => {
  const { outputFiles } = await build({
    entryPoints: [`${packages}virtio-device/src/testing/entropy-thread.ts`],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    alias: {
      '@ringwire/virtio-spec/iommu': `${packages}virtio-spec/src/iommu-config.ts`,
      ...Object.fromEntries(
        ['guest-memory', 'virtio-spec', 'virtqueue', 'pci'].map((name) => [
          `@ringwire/${name}`,
          `${packages}${name}/src/index.ts`,
        ]),
      ),
    },
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  });
  code = outputFiles[0]!.text;
});

/** A driver over a device in another thread, as simple as it gets. */
class Host {
  readonly memory: HostMemory = HostMemory.create(0x1_0000);
  readonly space: IdentitySpace = new IdentitySpace(this.memory);
  readonly place = newThreadPlace(1, 2);
  readonly remote: RemoteDevice = new RemoteDevice(this.place);
  readonly used: UsedBurst = new UsedBurst(SIZE);
  readonly transport: 'mmio' | 'pci';
  private readonly ended: Promise<unknown>;

  constructor(transport: 'mmio' | 'pci', spinBudget: number) {
    this.transport = transport;
    const order: EntropyOrder = { transport, memory: this.memory.wasm!, place: this.place, spinBudget };
    this.ended = once(new Worker(code, { eval: true, workerData: order }), 'exit');
    if (transport === 'pci') this.powerUp();
  }

  async stop(): Promise<void> {
    this.remote.stop();
    await this.ended;
  }

  setStatus(value: number): void {
    if (this.transport === 'mmio') this.remote.write(REGISTER_SPACE.MMIO, REG.status, 4, value);
    else this.remote.write(0, COMMON.deviceStatus, 1, value);
  }

  status(): number {
    if (this.transport === 'mmio') return this.remote.read(REGISTER_SPACE.MMIO, REG.status, 4);
    return this.remote.read(0, COMMON.deviceStatus, 1);
  }

  /** @returns the driver's side of the queue */
  start(): DriverQueue {
    const features = featureWords([32]);
    const ring = openDriverQueue({
      space: this.space,
      size: SIZE,
      desc: DESC,
      driver: DRIVER,
      device: DEVICE,
      features,
    });
    for (const status of [1, 3]) this.setStatus(status);
    const { remote } = this;
    if (this.transport === 'mmio') {
      const write = (at: number, value: number): void => remote.write(REGISTER_SPACE.MMIO, at, 4, value);
      write(REG.driverFeaturesSel, 1);
      write(REG.driverFeatures, 1);
      this.setStatus(11);
      write(REG.queueSize, SIZE);
      write(REG.queueDesc, DESC);
      write(REG.queueDriver, DRIVER);
      write(REG.queueDevice, DEVICE);
      write(REG.queueReady, 1);
    } else {
      remote.write(0, COMMON.driverFeatureSelect, 4, 1);
      remote.write(0, COMMON.driverFeature, 4, 1);
      this.setStatus(11);
      remote.write(0, COMMON.queueSize, 2, SIZE);
      remote.write(0, COMMON.queueMsixVector, 2, 1);
      remote.write(0, COMMON.queueDesc, 4, DESC);
      remote.write(0, COMMON.queueDriver, 4, DRIVER);
      remote.write(0, COMMON.queueDevice, 4, DEVICE);
      remote.write(0, COMMON.queueEnable, 2, 1);
    }
    this.setStatus(15);
    return ring;
  }

  kick(): void {
    if (this.transport === 'mmio') this.remote.write(REGISTER_SPACE.MMIO, REG.queueNotify, 4, 0);
    else this.remote.write(0, this.notifyAt, 2, 0);
  }

  /** Wait for an interrupt: a message, or the line, which is acknowledged. */
  interrupted(): void {
    const { remote } = this;
    for (let patience = 20; patience > 0; patience--) {
      const messages: number[] = [];
      remote.drain({ sendMessage: (low, high, data) => messages.push(low, high, data) });
      if (messages.length > 0) {
        expect(messages).toEqual([0xfee0_1000, 0, 0x41]);
        return;
      }
      if (remote.asserted) {
        remote.write(REGISTER_SPACE.MMIO, REG.interruptAck, 4, 1);
        return;
      }
      remote.waitForEvents(1000);
    }
    throw new Error('no interrupt came');
  }

  private notifyAt = 0;

  private powerUp(): void {
    const { remote } = this;
    const { PCI_CONFIG } = REGISTER_SPACE;
    remote.write(PCI_CONFIG, 0x10, 4, 0xc000_0000);
    remote.write(PCI_CONFIG, 0x14, 4, 0x12);
    remote.write(PCI_CONFIG, 4, 2, 6);
    expect(remote.barAddress(0)).toBe(0x12_c000_0000);
    for (let at = remote.read(PCI_CONFIG, 0x34, 1); at !== 0; at = remote.read(PCI_CONFIG, at + 1, 1)) {
      const id = remote.read(PCI_CONFIG, at, 1);
      if (id === 9 && remote.read(PCI_CONFIG, at + 3, 1) === 2) this.notifyAt = remote.read(PCI_CONFIG, at + 8, 4);
      if (id !== 0x11) continue;
      const entry = (remote.read(PCI_CONFIG, at + 4, 4) & ~7) + 16;
      for (const [word, value] of [0xfee0_1000, 0, 0x41, 0].entries()) remote.write(0, entry + word * 4, 4, value);
      remote.write(PCI_CONFIG, at + 2, 2, 0x8000);
    }
  }
}

describe.each([['mmio'] as const, ['pci'] as const])('a device in a thread of its own over %s', (transport) => {
  test.each([[0], [100_000]])(
    'with %i idle turns before it parks, serves every buffer and loses no wake-up',
    async (spins) => {
      const host = new Host(transport, spins);
      const ring = host.start();
      expect(host.status()).toBe(15);
      for (let round = 0; round < 3000; round++) {
        const buffers = 1 + (round % 3);
        for (let i = 0; i < buffers; i++) ring.addWritable(BUFFERS + i * 64, 8);
        if (ring.publish()) host.kick();
        for (let got = 0; got < buffers; ) {
          host.used.clear();
          got += ring.takeUsed(host.used, SIZE);
          if (got < buffers && !ring.enableNotifications()) host.interrupted();
        }
      }
      // 1 + 2 + 3 buffers in three rounds: the last one was number 5,999.
      expect(host.memory.u8[BUFFERS + 2 * 64]).toBe(5999 & 0xff);
      expect(host.remote.messagesLost).toBe(0);
      await host.stop();
    },
  );

  test('is reset in the midst of its work: when the status reads 0, nothing is written any more', async () => {
    const host = new Host(transport, 1000);
    for (let round = 0; round < 50; round++) {
      const ring = host.start();
      for (let i = 0; i < SIZE; i++) ring.addWritable(BUFFERS + i * 64, 64);
      ring.publish();
      host.kick();
      host.setStatus(0);
      expect(host.status()).toBe(0);
      host.memory.u8.fill(0xee, BUFFERS, BUFFERS + SIZE * 64);
      const rings = host.memory.u8.slice(DESC, BUFFERS);
      host.kick();
      expect(host.status()).toBe(0);
      expect(host.memory.u8.subarray(BUFFERS, BUFFERS + SIZE * 64).every((byte) => byte === 0xee)).toBe(true);
      expect(host.memory.u8.slice(DESC, BUFFERS)).toEqual(rings);
    }
    await host.stop();
  });
});

test('a device that does not answer reads as all ones, and does not hold its host up', () => {
  const place = newThreadPlace(1, 0);
  const remote = new RemoteDevice(place, { patience: 1 });
  expect([remote.read(REGISTER_SPACE.MMIO, 0, 4), remote.gone]).toEqual([0xffff_ffff, true]);
  expect(remote.read(0, 0x14, 1)).toBe(0xff);
  remote.write(REGISTER_SPACE.MMIO, REG.status, 4, 0);
  const spinning = new RemoteDevice(newThreadPlace(1, 0), { patience: 1, mayBlock: false });
  expect(spinning.read(REGISTER_SPACE.MMIO, 0, 2)).toBe(0xffff);
});

test.each([[-1], [1.5], [0x1_0001]])('a place for %d queues cannot be', (queues) => {
  expect(() => newThreadPlace(queues, 0)).toThrow(`queues is ${queues}, want 0 to 65536`);
});
