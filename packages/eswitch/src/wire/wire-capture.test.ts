import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostMemory } from '@ringwire/guest-memory';
import { PcapSource, readPcap } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import { ethernet, station, vf } from '../testing/card-stage.js';
import { FarEnd, padded, WireStage } from '../testing/wire-stage.js';
import { WireCapture, type WireCaptureOptions } from './wire-capture.js';

/** A frame out, a frame in, and a PAUSE in, at 10 Gbit/s. */
function captured(options: WireCaptureOptions): Uint8Array {
  const pieces: Uint8Array[] = [];
  const stage = new WireStage({ honoursPause: true });
  stage.wire.tap = new WireCapture((bytes) => pieces.push(bytes.slice()), options);
  const far = new FarEnd(stage.clock.now);
  stage.wire.plug(far);
  stage.clock.advanceTo(2_000_001);
  stage.send(vf(0), 60);
  stage.run(2_000_002);
  far.bring(padded(ethernet(station(vf(1)), station(77)), 1514));
  far.bring(padded(ethernet(Uint8Array.of(1, 0x80, 0xc2, 0, 0, 1), station(77), [], [0x88, 8, 0, 1, 0, 9]), 60));
  stage.run(2_000_010);
  return Buffer.concat(pieces);
}

test('pcap: each frame has the time of its last bit, to the ns', () => {
  const { frames } = readPcap(captured({ format: 'pcap', startSeconds: 1000 }));
  expect(frames.map(({ wireLength }) => wireLength)).toEqual([60, 1514, 60]);
  // 67.2 ns after 1 µs; 1230.4 ns after 2 µs, and 67.2 ns after that.
  expect(frames.map(({ seconds, nanoseconds }) => [seconds, nanoseconds])).toEqual([
    [1002, 1067],
    [1002, 3230],
    [1002, 3297],
  ]);
});

test('pcapng: tshark finds which way each frame went, and the PAUSE', ({ skip }) => {
  const directory = mkdtempSync(join(tmpdir(), 'ringwire-wire-'));
  try {
    const path = join(directory, 'wire.pcapng');
    writeFileSync(path, captured({}));
    const fields = ['frame.time_epoch', 'frame.packet_flags_direction', 'macc.pause_time'].flatMap((name) => [
      '-e',
      name,
    ]);
    const reader = 'tshark';
    const text = execFileSync(reader, ['-r', path, '-T', 'fields', '-E', 'separator=,', ...fields], {
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
    expect(text.trim().split('\n')).toEqual([
      expect.stringMatching(/^2\.000001067,(2|0x0*2),$/),
      expect.stringMatching(/^2\.000003230,(1|0x0*1),$/),
      expect.stringMatching(/^2\.000003297,(1|0x0*1),9$/),
    ]);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') skip('skipped, because tshark is not installed');
    else throw error;
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('a capture that is plugged in plays at the line’s rate', () => {
  const capture = readPcap(captured({ format: 'pcap' }));
  const stage = new WireStage({ speed: 1000 });
  const memory = HostMemory.create(0x1_0000);
  const source = new PcapSource({ ...capture, frames: capture.frames.slice(1, 2) }, memory, 0, { laps: 100 });
  stage.wire.plug(source);
  stage.run(500);
  // 12.304 µs each.
  expect(stage.devices[vf(1) - 1]!.frames.length).toBe(40);
  stage.run(2000);
  expect(source.finished).toBe(true);
  expect(stage.devices[vf(1) - 1]!.frames.length).toBe(100);
});
