import { featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { type NetFeature, VIRTIO_NET_F, VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isBreakdown } from './breakdown.js';
import { type NetDriver, openNetDriver } from './net-driver.js';
import { NetOffload } from './net-offload.js';
import { SENT } from './net-tx-queue.js';
import { RealStage, STATION } from './testing/real-stage.js';
import { tcpFrame, withoutTcpSums } from './testing/tcp-frame.js';

const RINGS = [
  'INDIRECT_DESC',
  'EVENT_IDX',
  'RING_PACKED',
  'IN_ORDER',
  'NOTIFICATION_DATA',
  'NOTIF_CONFIG_DATA',
  'RING_RESET',
] as const;
const NETS = [
  ...([
    'CSUM',
    'GUEST_CSUM',
    'MRG_RXBUF',
    'CTRL_VQ',
    'MQ',
    'HASH_REPORT',
    'HOST_TSO4',
    'GUEST_TSO4',
    'HOST_USO',
  ] as const),
  ...(['GUEST_HDRLEN', 'MTU', 'STATUS', 'OUT_NET_HEADER', 'HOST_TSO6', 'GUEST_TSO6', 'HOST_UDP_TUNNEL_GSO'] as const),
] satisfies readonly NetFeature[];
type Bit = (typeof RINGS)[number] | (typeof NETS)[number];
const BITS: readonly Bit[] = [...RINGS, ...NETS];
const isRing = (bit: Bit): bit is (typeof RINGS)[number] => (RINGS as readonly string[]).includes(bit);

interface Run {
  readonly stage: RealStage;
  readonly driver: NetDriver;
  readonly heard: Uint8Array[];
}

/** A driver and the device, with what both know of these features, and what those need. */
function start(transport: 'mmio' | 'pci', bits: readonly Bit[], queueSize: number, mergeableBytes: number): Run {
  const offer = bits.filter(isRing).map((bit) => VIRTIO_F[bit]);
  const names = bits.filter((bit): bit is (typeof NETS)[number] => !isRing(bit));
  const features = [VIRTIO_NET_F.MAC, ...names.map((name) => VIRTIO_NET_F[name])];
  const stage = new RealStage({
    transport,
    offer,
    messages: 6,
    device: { features, pairs: 2, rxQueueSize: 64, txQueueSize: 64 },
  });
  const heard: Uint8Array[] = [];
  const driver = openNetDriver({
    transport: stage.transport,
    dma: stage.dma,
    messages: stage.messages,
    now: () => stage.time,
    pairs: 2,
    queueSize,
    mergeableBytes,
    receiveBytes: 0x10_0000,
    events: { frame: (frame) => heard.push(frame.bytes()) },
  });
  if (isBreakdown(driver)) throw new Error(driver.message);
  stage.settle(driver);
  return { stage, driver, heard };
}

/** Send TCP frames, with what was negotiated of offloads, and compare what comes back but for what offloads change. */
function exchange({ stage, driver, heard }: Run, lengths: readonly number[]): void {
  const has = (name: NetFeature): boolean => hasFeature(driver.features, VIRTIO_NET_F[name]);
  const sent: Uint8Array[] = [];
  for (const [i, payload] of lengths.entries()) {
    const wantsTso = has('HOST_TSO4') && payload > 1400;
    const bytes = wantsTso ? payload : Math.min(payload, 1400);
    const frame = tcpFrame(STATION, bytes, i, has('CSUM'));
    const offload = new NetOffload();
    if (has('CSUM')) Object.assign(offload, { flags: VIRTIO_NET_HDR_F.NEEDS_CSUM, csumStart: 34, csumOffset: 16 });
    if (wantsTso) Object.assign(offload, { gsoType: VIRTIO_NET_HDR_GSO.TCPV4, gsoSize: 1400 });
    const pair = i % driver.activePairs;
    for (let tries = 0; driver.sendBytes(frame, offload, pair) !== SENT.OK; tries++) {
      if (tries > 100) throw new Error('the ring never has room');
      stage.settle(driver);
    }
    sent.push(frame);
    if (i % 3 === 0) stage.turn(driver, 4);
    // One pair at a time keeps the order.
    stage.settle(driver);
  }
  expect(driver.state).toBe('running');
  const payloads = (frames: readonly Uint8Array[]): Buffer => Buffer.concat(frames.map((frame) => frame.subarray(54)));
  expect(Buffer.compare(payloads(heard), payloads(sent))).toBe(0);
  const { rxTooLong, rxShort, rxNumBuffers, rxMissing, rxMerge, rxOffload, commandsRefused } = driver.counters;
  expect({ rxTooLong, rxShort, rxNumBuffers, rxMissing, rxMerge, rxOffload, commandsRefused }).toEqual({
    ...{ rxTooLong: 0, rxShort: 0, rxNumBuffers: 0, rxMissing: 0, rxMerge: 0, rxOffload: 0, commandsRefused: 0 },
  });
  // Each frame that came whole is what was sent, but for checksums that somebody else filled in.
  if (heard.length !== sent.length) return;
  for (const [i, frame] of heard.entries())
    expect([i, Buffer.compare(withoutTcpSums(frame), withoutTcpSums(sent[i]!))]).toEqual([i, 0]);
}

const NEEDS: Partial<Record<Bit, readonly Bit[]>> = {
  HOST_TSO4: ['CSUM'],
  HOST_TSO6: ['CSUM'],
  HOST_USO: ['CSUM'],
  GUEST_TSO4: ['GUEST_CSUM'],
  GUEST_TSO6: ['GUEST_CSUM'],
  MQ: ['CTRL_VQ'],
  HASH_REPORT: ['CTRL_VQ'],
  HOST_UDP_TUNNEL_GSO: ['CSUM', 'HOST_TSO4', 'HOST_TSO6', 'HOST_USO'],
};

const PAIRS = BITS.flatMap((a, i) => BITS.slice(i + 1).map((b) => [a, b] as const));

test.each(['mmio', 'pci'] as const)(
  'drv.basic.features.6: with any two of the features, and none of the others, frames go over %s',
  (transport) => {
    for (const pair of PAIRS) {
      const bits = [...new Set(pair.flatMap((bit) => [bit, ...(NEEDS[bit] ?? [])]))];
      const run = start(transport, bits, 32, 512);
      for (const bit of pair) {
        if (bit === 'NOTIF_CONFIG_DATA' && transport === 'mmio') continue;
        const number = isRing(bit) ? VIRTIO_F[bit] : VIRTIO_NET_F[bit];
        expect([bit, hasFeature(run.driver.features, number)]).toEqual([bit, true]);
      }
      exchange(run, [6, 100, 1400, 4000]);
      run.driver.close();
      expect(run.stage.pages.inUse).toBe(0);
    }
  },
);

/** Without tables a copy of a frame may have a page per slot of the transmit ring. */
const largestCopy = ({ features }: NetDriver, queueSize: number): number =>
  hasFeature(features, VIRTIO_F.INDIRECT_DESC) && queueSize > 4 ? 30_000 : queueSize * 4096 - 86;

/** A frame, or all segments of it, have to fit into an empty receive ring: the device drops what does not. */
function largestPayload({ features }: NetDriver, queueSize: number, mergeableBytes: number): number {
  const has = (name: NetFeature): boolean => hasFeature(features, VIRTIO_NET_F[name]);
  const headers = 54 + 32;
  if (has('MRG_RXBUF')) {
    if (has('GUEST_TSO4')) return queueSize * mergeableBytes - headers;
    const segments = Math.floor(queueSize / Math.ceil((headers + 1400) / mergeableBytes));
    return segments > 0 ? segments * 1400 : queueSize * mergeableBytes - headers;
  }
  if (has('GUEST_TSO4')) return 65_000;
  // Big buffers of several elements: four in a ring without tables.
  return has('GUEST_TSO6') && !hasFeature(features, VIRTIO_F.INDIRECT_DESC) ? 4 * 1400 : Math.min(queueSize, 15) * 1400;
}

test('random feature sets, queue sizes, buffers and frames: what is sent comes back', () => {
  fc.assert(
    fc.property(
      fc.constantFrom('mmio' as const, 'pci' as const),
      fc.subarray([...BITS]),
      fc.constantFrom(4, 8, 64),
      fc.constantFrom(64, 300, 1536, 4096),
      fc.array(fc.integer({ min: 6, max: 20_000 }), { minLength: 1, maxLength: 12 }),
      (transport, bits, queueSize, mergeableBytes, payloads) => {
        const run = start(transport, bits, queueSize, mergeableBytes);
        const most = Math.min(
          largestPayload(run.driver, queueSize, mergeableBytes),
          largestCopy(run.driver, queueSize),
        );
        exchange(
          run,
          payloads.map((payload) => Math.min(payload, most)),
        );
        run.driver.close();
        expect(run.stage.pages.inUse).toBe(0);
      },
    ),
    { numRuns: 60 },
  );
});

test('the words that are negotiated are those that were asked for', () => {
  const run = start('pci', ['RING_PACKED', 'CSUM'], 16, 4096);
  expect(run.driver.features).toEqual(
    featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.RING_PACKED, VIRTIO_NET_F.CSUM, VIRTIO_NET_F.MAC]),
  );
});
