import {
  FrameBurst,
  FramePool,
  guestDma,
  isBreakdown,
  openNetDriver,
  openPollDriver,
  SENT,
  type Transport,
} from '@ringwire/guest-drivers';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { ProcessMemory } from './process-memory.js';
import { simParent } from './sim-parent.js';
import { frameOf, VdpaStage } from './testing/vdpa-stage.js';
import type { VdpaDevice } from './vdpa-device.js';
import { isVdpaRefusal } from './vdpa-parent.js';
import { VdpaTransport } from './vdpa-transport.js';

const ALL = featureWords(Array.from({ length: 128 }, (_, bit) => bit));
const SPLIT = ALL.map((word, at) => (at === 1 ? word & ~(1 << (VIRTIO_F.RING_PACKED & 31)) : word));

function addSim(stage: VdpaStage): VdpaDevice {
  const device = simParent(stage.host, { device: { holdWhenFull: true } }).add('vdpa0', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  return device;
}

function openNet(stage: VdpaStage, device: VdpaDevice, features: Uint32Array, vectors: boolean, heard: Uint8Array[]) {
  const raised: (number | undefined)[] = [];
  const transport: Transport = new VdpaTransport(device, (vector) => raised.push(vector));
  const memory = new ProcessMemory(device, 0, stage.space, stage.iovas);
  const driver = openNetDriver({
    transport,
    dma: guestDma(stage.space, stage.processPages, memory),
    features,
    queueSize: 64,
    messages: vectors ? [0, 1, 2, 3].map((data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data })) : [],
    now: () => stage.time,
    events: { frame: (frame) => heard.push(frame.bytes()) },
  });
  if (isBreakdown(driver)) throw new Error(driver.message);
  const settle = (): void => {
    for (let turns = 0; turns < 1000; turns++) {
      const moved = device.step(64) + raised.length;
      for (const vector of raised.splice(0)) driver.interrupt(vector);
      while (driver.needsPoll) driver.poll();
      if (moved === 0) return;
    }
    throw new Error('device and driver do not come to rest');
  };
  return { driver, settle };
}

test.each([
  ['split', SPLIT, false],
  ['packed', ALL, false],
  ['split, MSI-X', SPLIT, true],
  ['packed, MSI-X', ALL, true],
] as const)(
  'F90: the unchanged NetDriver runs in a container’s memory over a vDPA device, %s',
  (_, features, vectors) => {
    const stage = new VdpaStage();
    const device = addSim(stage);
    const heard: Uint8Array[] = [];
    const { driver, settle } = openNet(stage, device, features, vectors, heard);
    const frames = Array.from({ length: 100 }, (_frame, i) => frameOf(60 + ((i * 31) % 1450), i));
    for (const [i, frame] of frames.entries()) {
      expect(driver.sendBytes(frame)).toBe(SENT.OK);
      if (i % 8 === 7) settle();
    }
    settle();
    expect(heard).toEqual(frames);
    const [received, completed] = device.queueStatistics(1);
    expect([received?.name, completed?.name]).toEqual(['received_desc', 'completed_desc']);
    expect([received?.value, completed?.value]).toEqual([100, 100]);
    driver.close();
    expect([device.mappings(0).length, stage.processPages.inUse, stage.iovas.inUse]).toEqual([0, 0, 0]);
  },
);

test.each([
  ['split', SPLIT],
  ['packed', ALL],
] as const)('F90: the unchanged PollDriver runs over a vDPA device and gives all memory back, %s', (_, features) => {
  const stage = new VdpaStage();
  const device = addSim(stage);
  const dma = guestDma(stage.space, stage.processPages, new ProcessMemory(device, 0, stage.space, stage.iovas));
  const pool = new FramePool(dma, { buffers: 300 });
  const transport = new VdpaTransport(device, () => {});
  const driver = openPollDriver({ transport, dma, pool, queueSize: 64, features });
  if (isBreakdown(driver)) throw new Error(driver.message);
  const out = new FrameBurst(8);
  const back = new FrameBurst(64);
  const heard: Uint8Array[] = [];
  const frames = Array.from({ length: 64 }, (_frame, i) => frameOf(60 + i * 20, i));
  for (let sent = 0; sent < frames.length; sent += 8) {
    out.clear();
    for (const frame of frames.slice(sent, sent + 8)) {
      out.push(pool.fill(frame), frame.length);
    }
    expect(driver.txBurst(0, out)).toBe(8);
    while (device.step(64) > 0) driver.reclaim(0);
    driver.rxBurst(0, back, 64);
    for (let i = 0; i < back.count; i++) {
      heard.push(pool.read(back.frame[i]!));
      pool.put(back.frame[i]!);
    }
    back.clear();
  }
  expect(heard).toEqual(frames);
  driver.close();
  pool.close();
  expect([device.mappings(0).length, stage.processPages.inUse]).toEqual([0, 0]);
});
