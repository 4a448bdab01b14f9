import { VIRTIO_NET_HASH_REPORT, VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import { BREAK, isBreakdown } from '../breakdown.js';
import { FrameBurst, FramePool } from '../frame-pool.js';
import { tcpFrame } from '../testing/tcp-frame.js';
import { ScriptedVf } from './testing/scripted-vf.js';
import { FRAME, hex } from './testing/vf-stage.js';
import { type IxgbeVfPoll, type IxgbeVfPollSetup, openIxgbeVfPoll } from './vf-poll-driver.js';

interface PollStage {
  readonly vf: ScriptedVf;
  readonly pool: FramePool;
  readonly driver: IxgbeVfPoll;
  readonly burst: FrameBurst;
}

function stage(change: Partial<IxgbeVfPollSetup> = {}, vf: ScriptedVf = new ScriptedVf()): PollStage {
  const pool = new FramePool(vf.dma, { buffers: 200 });
  const setup = { access: vf, dma: vf.dma, pool, queueSize: 64, patience: { tries: 20 }, random: () => 0.5 };
  const driver = openIxgbeVfPoll({ ...setup, ...change });
  if (isBreakdown(driver)) throw new Error(driver.message);
  return { vf, pool, driver, burst: new FrameBurst(64) };
}

test('82599 §7.2.3.2: a burst is a descriptor for each frame, one report, and one write of the tail', () => {
  const { vf, pool, driver, burst } = stage();
  for (let i = 0; i < 3; i++) burst.push(pool.fill(FRAME), 60);
  const before = vf.writes.length;
  expect(driver.txBurst(0, burst)).toBe(3);
  expect(vf.writes.slice(before)).toEqual([[0x2018, 3]]);
  // DTYP data, EOP, IFCS, DEXT, 60 bytes; the last one with RS. PAYLEN alone: no context is asked for.
  expect([0, 1, 2].map((i) => vf.descriptor('tx', i).slice(2))).toEqual([
    [0x2330_003c, 60 << 14],
    [0x2330_003c, 60 << 14],
    [0x2b30_003c, 60 << 14],
  ]);
  expect(driver.reclaim(0)).toBe(0);
  // The report of the last one is that of all.
  vf.writeBack('tx', 2, hex('00000000 00000000 00000000 01000000'));
  expect(driver.reclaim(0)).toBe(3);
  expect(pool.free).toBe(200 - 63);
});

test('82599 §7.2.3.2.3: a checksum is a context with the lengths of headers, and two bits of the data descriptor', () => {
  const { vf, pool, driver, burst } = stage();
  const frame = pool.fill(tcpFrame(Uint8Array.of(2, 0, 0, 0, 0, 9), 10, 0, true));
  pool.setOffload(frame, VIRTIO_NET_HDR_F.NEEDS_CSUM, VIRTIO_NET_HDR_GSO.NONE);
  pool.csumStart[frame] = 34;
  pool.csumOffset[frame] = 16;
  burst.push(frame, 64);
  driver.txBurst(0, burst);
  // MACLEN 14, IPLEN 20; DTYP context, DEXT, IPv4, TCP.
  expect(vf.descriptor('tx', 0)).toEqual([(14 << 9) | 20, 0, 0x2020_0c00, 0]);
  // TXSM, CC, PAYLEN 64.
  expect(vf.descriptor('tx', 1).slice(2)).toEqual([0x2b30_0040, (64 << 14) | 0x280]);
});

test('82599 §7.2.4: segmentation gives the card headers without lengths, and a pseudo header without one', () => {
  const { vf, pool, driver, burst } = stage();
  const whole = tcpFrame(Uint8Array.of(2, 0, 0, 0, 0, 9), 1200, 0, true);
  const frame = pool.fill(whole);
  pool.setOffload(frame, VIRTIO_NET_HDR_F.NEEDS_CSUM, VIRTIO_NET_HDR_GSO.TCPV4);
  pool.csumStart[frame] = 34;
  pool.csumOffset[frame] = 16;
  pool.gsoSize[frame] = 500;
  burst.push(frame, 1254);
  driver.txBurst(0, burst);
  // MSS 500, L4LEN 20.
  expect(vf.descriptor('tx', 0)).toEqual([(14 << 9) | 20, 0, 0x2020_0c00, (500 << 16) | (20 << 8)]);
  // TSE; 1254 bytes in this descriptor. PAYLEN 1200; IXSM, TXSM, CC.
  expect(vf.descriptor('tx', 1).slice(2)).toEqual([0xab30_04e6, ((1200 << 14) | 0x380) >>> 0]);
  const sent = new DataView(vf.shown(1).buffer);
  expect([sent.getUint16(16), sent.getUint16(24)]).toEqual([0, 0]);
  // By hand: 10.0.0.1, 10.0.0.2, protocol 6 = 0x0a00 + 0x0001 + 0x0a00 + 0x0002 + 6.
  expect(sent.getUint16(50)).toBe(0x1409);
});

test('82599 §7.1.6.2: frames come in bursts; one of several buffers is linked; facts are told when asked for', () => {
  const { vf, pool, driver, burst } = stage({ tellsFacts: true });
  vf.fillBuffer(0, FRAME);
  vf.writeBack('rx', 0, hex('12000000 78563412 23000000 3c000000'));
  const part = Uint8Array.from({ length: 2048 }, (_, i) => i & 0xff);
  vf.fillBuffer(1, part);
  vf.writeBack('rx', 1, hex('00000000 00000000 01000000 00080000'));
  vf.fillBuffer(2, FRAME);
  vf.writeBack('rx', 2, hex('00000000 00000000 03000000 3c000000'));
  expect(driver.rxBurst(0, burst)).toBe(2);
  const [first, second] = burst.frame as unknown as [number, number];
  expect(pool.read(first)).toEqual(FRAME);
  expect([pool.hashReport[first], pool.hashValue[first]]).toEqual([VIRTIO_NET_HASH_REPORT.IPv4, 0x1234_5678]);
  expect(pool.flagsOf(first)).toBe(VIRTIO_NET_HDR_F.DATA_VALID);
  expect(pool.read(second)).toEqual(Uint8Array.from([...part, ...FRAME]));
  expect([driver.counters.rxFrames, driver.counters.rxBytes]).toEqual([2, 60 + 2108]);
  pool.put(first);
  pool.put(second);
  expect(driver.close()).toBeUndefined();
  expect(pool.free).toBe(200);
});

test('DR-03, DR-04, DR-12: buffers of frames that cannot be go back into the pool once each', () => {
  const { vf, pool, driver, burst } = stage();
  for (const [i, back] of [
    '00000000 00000000 03000000 01080000', // 2049 bytes
    '00000000 00000000 03000000 0d000000', // 13
    '00000000 00000000 03000020 3c000000', // an error of the MAC
    '00000000 00000000 01000000 3c000000', // the first part of one whose second is empty
    '00000000 00000000 03000000 00000000',
  ].entries())
    vf.writeBack('rx', i, hex(back));
  expect(driver.rxBurst(0, burst)).toBe(0);
  const { rxMerge, rxShort, rxErrors } = driver.counters;
  expect([rxMerge, rxShort, rxErrors]).toEqual([2, 1, 1]);
  driver.close();
  expect(pool.free).toBe(200);
});

test('a ring that is full takes no more; what it took comes back into the pool when the function is closed', () => {
  const { pool, driver, burst } = stage();
  for (let i = 0; i < 64; i++) burst.push(pool.fill(FRAME), 60);
  expect(driver.txBurst(0, burst)).toBe(63);
  expect(driver.txBurst(0, burst, 63)).toBe(0);
  driver.close();
  pool.put(burst.frame[63]!);
  expect([pool.free, driver.counters.txLost]).toEqual([200, 63]);
});

test('a physical function that was reset is told by the next check', () => {
  const { vf, driver } = stage();
  expect(driver.check()).toBeUndefined();
  vf.resetPf(false);
  expect(driver.check()).toMatchObject({ code: BREAK.NEEDS_RESET });
});
