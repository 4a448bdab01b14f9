import { readFileSync } from 'node:fs';
import { HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, type Frame, OFFLOAD } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { VIRTIO_NET_HDR } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { finishFrame, OffloadEngine } from './offload-engine.js';
import { frameOf } from './testing/frames.js';
import { hex } from './testing/hex.js';
import { checksumProblems } from './testing/reference-checks.js';

interface GoldenStep {
  readonly frames_out?: unknown;
  readonly frames_out_vnet_hdr?: unknown;
  readonly inject?: unknown;
  readonly inject_vnet_hdr?: unknown;
}

/** A frame that a Linux kernel left to be finished, and its virtio_net_hdr. */
interface LinuxFrame {
  readonly header: DataView;
  readonly bytes: Uint8Array;
}

function linuxFrames(set: string): LinuxFrame[] {
  const file = new URL(`../../../golden/sets/${set}/expected.json`, import.meta.url);
  const { steps } = JSON.parse(readFileSync(file, 'utf8')) as { steps: readonly GoldenStep[] };
  return steps.flatMap((step) => [
    ...written(step.frames_out, step.frames_out_vnet_hdr),
    ...written(step.inject, step.inject_vnet_hdr),
  ]);
}

/** The frames that are written out; generated ones have no checksums. */
function written(frames: unknown, headers: unknown): LinuxFrame[] {
  if (!Array.isArray(frames) || !Array.isArray(headers)) return [];
  return frames.flatMap((frame: unknown, index) => {
    const header: unknown = headers[index];
    if (typeof frame !== 'string' || typeof header !== 'string') return [];
    return [{ header: new DataView(hex(header).buffer), bytes: hex(frame) }];
  });
}

const memory = HostMemory.create(0x4_0000);

function frameWith({ header, bytes }: LinuxFrame): Frame {
  return Object.assign(frameOf(memory, 0x1_0000, bytes), {
    flags: header.getUint8(VIRTIO_NET_HDR.flags),
    gsoType: header.getUint8(VIRTIO_NET_HDR.gso_type),
    hdrLen: header.getUint16(VIRTIO_NET_HDR.hdr_len, true),
    gsoSize: header.getUint16(VIRTIO_NET_HDR.gso_size, true),
    csumStart: header.getUint16(VIRTIO_NET_HDR.csum_start, true),
    csumOffset: header.getUint16(VIRTIO_NET_HDR.csum_offset, true),
  });
}

const SETS = ['split-ev1-ind1-mrg1-q256-offload', 'packed-ev1-ind1-mrg1-q256-offload'];

describe.each(SETS)("a Linux guest's frames in %s", (set) => {
  const frames = linuxFrames(set);

  test('are all taken, and leave with good checksums', () => {
    const engine = new OffloadEngine(memory, 0x3_0000);
    expect(frames.length).toBeGreaterThan(4);
    for (const frame of frames) {
      const sink = new ScriptedBackend();
      expect(finishFrame(engine, frameWith(frame), sink)).toBe(DELIVERED.ACCEPTED);
      expect(sink.bytes.flatMap(checksumProblems)).toEqual([]);
      for (const { length } of sink.bytes) expect(length).toBeLessThanOrEqual(1514);
    }
    expect(engine.counters.segmented).toBe(2);
    expect(engine.counters.segments).toBe(2 + 3);
  });

  test('to be cut up carry on where the segment before ended', () => {
    for (const frame of frames) {
      if (frame.header.getUint8(VIRTIO_NET_HDR.gso_type) === 0) continue;
      const sink = new ScriptedBackend(OFFLOAD.CSUM);
      finishFrame(new OffloadEngine(memory, 0x3_0000), frameWith(frame), sink);
      const payloadAt = frame.header.getUint16(VIRTIO_NET_HDR.csum_start, true) + 20;
      const stream = sink.bytes.flatMap((bytes) => [...bytes.subarray(payloadAt)]);
      expect(stream).toEqual([...frame.bytes.subarray(payloadAt)]);
      const sequence = sink.bytes.map((bytes) => new DataView(bytes.buffer).getUint32(38));
      expect(sequence.map((value) => value - sequence[0]!)).toEqual(sequence.map((_, index) => index * 1460));
    }
  });
});
