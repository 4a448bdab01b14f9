import { FrameBurst, FramePool, isBreakdown, openPollDriver } from '@ringwire/guest-drivers';
import { signalEvent } from '@ringwire/linux';
import { featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FrontStage, ownFrame, STATION } from './testing/front-stage.js';
import { held } from './testing/session-stage.js';

const PLAIN = [VIRTIO_F.VERSION_1, VIRTIO_NET_F.MAC, VIRTIO_NET_F.STATUS];
const LAYOUTS = [
  ['split', PLAIN],
  ['packed', [...PLAIN, VIRTIO_F.RING_PACKED]],
] as const;

let stage: FrontStage;
let before: ReturnType<typeof held>;

beforeEach(() => {
  before = held();
  stage = new FrontStage();
});

afterEach(() => {
  stage.end();
  expect(held()).toEqual(before);
});

describe.each(LAYOUTS)('%s', (_, bits) => {
  test('an interrupt-driven driver sends frames to a back-end and has them back', () => {
    const transport = stage.open();
    const { driver, heard } = stage.kernel(transport, featureWords(bits));
    const frames = Array.from({ length: 200 }, (__, n) => ownFrame(60 + ((n * 37) % 1400), n));
    for (const bytes of frames) while (driver.sendBytes(bytes) !== 0) stage.settle(transport, driver);
    stage.settle(transport, driver);
    expect(heard).toEqual(frames);
    expect([...driver.mac]).toEqual([...STATION]);
    driver.close();
    expect(stage.pages.inUse).toBe(0);
    transport.close();
  });

  test('a poll-mode driver does so in bursts', () => {
    const transport = stage.open();
    const pool = new FramePool(stage.dma, { buffers: 600, dataBytes: 2048 });
    const driver = openPollDriver({ transport, dma: stage.dma, pool, features: featureWords(bits) });
    if (isBreakdown(driver)) throw new Error(driver.message);
    const frames = Array.from({ length: 300 }, (__, n) => ownFrame(60 + ((n * 37) % 1400), n));
    const back = new FrameBurst(64);
    const heard: Uint8Array[] = [];
    for (let next = 0; heard.length < frames.length; stage.turn()) {
      const out = new FrameBurst(32);
      while (out.count < 32 && next < frames.length) out.push(pool.fill(frames[next]!), frames[next++]!.length);
      expect(driver.txBurst(0, out)).toBe(out.count);
      driver.rxBurst(0, back);
      for (let at = 0; at < back.count; at++) {
        heard.push(pool.read(back.frame[at]!));
        pool.put(back.frame[at]!);
      }
      back.clear();
    }
    expect(heard).toEqual(frames);
    expect(driver.check()).toBeUndefined();
    expect(driver.close()).toBeUndefined();
    transport.close();
    pool.close();
    expect(stage.pages.inUse).toBe(0);
  });
});

test('all that a back-end can do with frames is offered, and of the control queue nothing', () => {
  const transport = stage.open();
  const { driver } = stage.kernel(transport);
  const has = (bit: number): boolean => hasFeature(driver.features, bit);
  expect(Object.entries(VIRTIO_NET_F).flatMap(([name, bit]) => (has(bit) ? [name] : []))).toEqual([
    ...['CSUM', 'GUEST_CSUM', 'MTU', 'MAC', 'GUEST_TSO4', 'GUEST_TSO6', 'GUEST_ECN', 'GUEST_UFO'],
    ...['HOST_TSO4', 'HOST_TSO6', 'HOST_ECN', 'HOST_UFO', 'MRG_RXBUF', 'STATUS'],
    ...['GUEST_USO4', 'GUEST_USO6', 'HOST_USO', 'GUEST_HDRLEN', 'SPEED_DUPLEX'],
  ]);
  driver.close();
  transport.close();
});

test('with two queue pairs, frames go out and come back on both, and one can be switched off', () => {
  stage.end();
  stage = new FrontStage({ pairs: 2, externalControl: true });
  const transport = stage.open({ pairs: 2 });
  const { driver, heard } = stage.kernel(transport, undefined, 2);
  stage.settle(transport, driver);
  expect(driver.activePairs).toBe(2);
  const frames = Array.from({ length: 20 }, (_, n) => ownFrame(100, n));
  for (const [n, bytes] of frames.entries()) driver.sendBytes(bytes, undefined, n % 2);
  stage.settle(transport, driver);
  expect(heard).toHaveLength(20);
  driver.commands!.setPairs(1);
  stage.settle(transport, driver);
  expect(driver.activePairs).toBe(1);
  driver.sendBytes(frames[0]!);
  stage.settle(transport, driver);
  expect(heard).toHaveLength(21);
  driver.close();
  transport.close();
});

test('a wait ends with a call event, when the back-end goes, and after the time given', async () => {
  const transport = stage.open();
  const { driver } = stage.kernel(transport);
  stage.settle(transport, driver);
  const vring = stage.session!.port.vrings[0]!;
  signalEvent(vring.call);
  await transport.wait(600_000);
  const before = driver.counters.interrupts;
  transport.takeInterrupts((vector) => driver.interrupt(vector));
  expect(driver.counters.interrupts).toBe(before + 1);
  while (driver.needsPoll) driver.poll();
  await transport.wait(1);
  stage.cut();
  await transport.wait(600_000);
  transport.takeInterrupts((vector) => driver.interrupt(vector));
  driver.poll();
  expect([driver.isLinkUp, transport.isConnected]).toEqual([false, false]);
  driver.close();
  transport.close();
});
