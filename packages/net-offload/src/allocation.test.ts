import { HostMemory } from '@ringwire/guest-memory';
import { type Frame, NullBackend } from '@ringwire/net-backend';
import { VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import { finishFrame, OffloadEngine } from './offload-engine.js';
import { PacketHash } from './packet-hash.js';
import { frameOf } from './testing/frames.js';
import { type GiantFields, giant } from './testing/giants.js';
import { counting, ethernet, ipv4, tcp } from './testing/packets.js';
import { Toeplitz } from './toeplitz.js';
import { verifyChecksums } from './verify-checksums.js';

const ROUNDS = 10;
const FRAMES_PER_ROUND = 5000;
/** Compiling takes heap too. */
const WARM_ROUNDS = 4;
const GSO = VIRTIO_NET_HDR_GSO;
const memory = HostMemory.create(0x4_0000);

/** A receiver that takes nothing unfinished. */
class PlainSink extends NullBackend {
  override readonly offloads: number = 0;
}

const giantFrame = (at: number, wanted: GiantFields): Frame => {
  const { bytes, fields } = giant(wanted);
  return Object.assign(frameOf(memory, at, bytes, [60, 700]), fields);
};
const plain = frameOf(memory, 0x1_0000, ethernet(0x0800, ipv4(6, tcp(4, counting(900)))));
const open = Object.assign(frameOf(memory, 0x1_1000, ethernet(0x0800, ipv4(6, tcp(4, counting(900), {}, 'partial')))), {
  flags: VIRTIO_NET_HDR_F.NEEDS_CSUM,
  csumStart: 34,
  csumOffset: 16,
});

test.each([
  ['complete', plain],
  ['without its checksum', open],
  ['to be cut into TCP segments', giantFrame(0x1_2000, { type: GSO.TCPV6 })],
  ['to be cut into fragments', giantFrame(0x1_4000, { type: GSO.UDP, version: 6 })],
  ['to be cut up in a tunnel', giantFrame(0x1_6000, { type: GSO.TCPV4, tunnel: 4, outerChecksum: true })],
])('a frame %s is taken, hashed, verified and delivered without an allocation', (_, frame) => {
  const engine = new OffloadEngine(memory, 0x3_0000);
  const sink = new PlainSink();
  const hash = new PacketHash();
  const toeplitz = new Toeplitz(new Uint8Array(40).fill(0x5a));
  const round = (): void => {
    for (let count = 0; count < FRAMES_PER_ROUND; count++) {
      finishFrame(engine, frame, sink);
      hash.compute(toeplitz, 0x1ff, 0x1ff, memory.u8, engine.headersAt, engine.headers);
      verifyChecksums(engine.frame, engine.headersAt, engine.headers);
    }
  };
  for (let index = 0; index < WARM_ROUNDS; index++) round();
  let taken = 0;
  let before = process.memoryUsage().heapUsed;
  for (let index = 0; index < ROUNDS; index++) {
    round();
    const now = process.memoryUsage().heapUsed;
    if (now > before) taken += now - before;
    before = now;
  }
  expect(sink.frames).toBeGreaterThanOrEqual((ROUNDS + WARM_ROUNDS) * FRAMES_PER_ROUND);
  // The smallest object has 12 bytes.
  expect(taken / (ROUNDS * FRAMES_PER_ROUND)).toBeLessThan(8);
});
