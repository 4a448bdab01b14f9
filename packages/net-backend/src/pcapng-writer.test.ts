import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { DELIVERED } from './net-backend.js';
import { PCAPNG_DIRECTION } from './pcapng-layout.js';
import { PcapngWriter } from './pcapng-writer.js';
import { frameWith } from './testing/index.js';

function collector(): { output: (bytes: Uint8Array) => void; file: () => Uint8Array } {
  const parts: number[] = [];
  return { output: (bytes) => parts.push(...bytes), file: () => Uint8Array.from(parts) };
}

const hexOf = (...lines: string[]): string => lines.join('').replaceAll(' ', '');

test('draft-ietf-opsawg-pcapng §4: section, interfaces and packets by hand', () => {
  const { output, file } = collector();
  const writer = new PcapngWriter(output, { clock: () => 2.001, startSeconds: 0x6500_0000, snapLength: 6 }, 'abc');
  expect(writer.addInterface('vf0')).toBe(0);
  expect(writer.addInterface('vf10', 'a port')).toBe(1);
  const frame = frameWith(Uint8Array.of(1, 2, 3, 4, 5));
  frame.pair = 3;
  writer.write(1, frame, PCAPNG_DIRECTION.OUTBOUND);
  writer.write(0, frameWith(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)), PCAPNG_DIRECTION.INBOUND, 'spoofed');
  expect(Buffer.from(file()).toString('hex')).toBe(
    hexOf(
      // Section: magic, version 1.0, length unknown, application.
      '0a0d0d0a 28000000 4d3c2b1a 0100 0000 ffffffffffffffff 0400 0300 61626300 00000000 28000000',
      // Interfaces: Ethernet, snaplen 6, name, description, nanoseconds.
      '01000000 28000000 0100 0000 06000000 0200 0300 76663000 0900 0100 09000000 00000000 28000000',
      '01000000 34000000 0100 0000 06000000 0200 0400 76663130 0300 0600 6120706f72740000 0900 0100 09000000 00000000 34000000',
      // 0x65000000 s * 10^9 + 2001 ns = 0x178411b2000007d1.
      '06000000 3c000000 01000000 b2118417 d1070000 05000000 05000000 0102030405 000000',
      '0200 0400 02000000 0600 0400 03000000 00000000 3c000000',
      '06000000 48000000 00000000 b2118417 d1070000 06000000 08000000 010203040506 0000',
      '0200 0400 01000000 0600 0400 00000000 0100 0700 73706f6f66656400 00000000 48000000',
    ),
  );
  expect(writer.frames).toBe(2);
});

test('a sink writes what it is given', () => {
  const { output, file } = collector();
  const writer = new PcapngWriter(output, { clock: () => 0 });
  const sink = writer.sink(writer.addInterface('port'), PCAPNG_DIRECTION.OUTBOUND);
  const before = file().length;
  expect(sink.offloads).toBe(0);
  expect(sink.receive(frameWith(new Uint8Array(64)))).toBe(DELIVERED.ACCEPTED);
  expect(file().length - before).toBe(28 + 64 + 8 + 8 + 4 + 4);
});

describe('read by Wireshark', () => {
  const { output, file } = collector();
  let micros = 0.5;
  const writer = new PcapngWriter(output, { clock: () => micros, startSeconds: 1_800_000_000 });
  const [inside, outside] = [writer.addInterface('vf0', 'function 0'), writer.addInterface('wire')];
  for (let length = 60; length < 68; length++) {
    writer.write(inside, frameWith(new Uint8Array(length).fill(length)), PCAPNG_DIRECTION.INBOUND);
    micros += 1000;
    const frame = Object.assign(frameWith(new Uint8Array(length).fill(length)), { pair: 1 });
    writer.write(outside, frame, PCAPNG_DIRECTION.OUTBOUND, length === 63 ? 'dropped: no buffer, ring 1 – ä' : '');
  }

  /** What a program of Wireshark's says about the file; undefined when it is not installed. */
  function askAbout(program: string, args: (path: string) => string[]): string | undefined {
    const directory = mkdtempSync(join(tmpdir(), 'ringwire-'));
    try {
      const path = join(directory, 'a.pcapng');
      writeFileSync(path, file());
      return execFileSync(program, args(path), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
      throw error;
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  test('capinfos finds packets, interfaces and their names', ({ skip }) => {
    const text = askAbout('capinfos', (path) => ['-M', path]);
    if (text === undefined) return skip('skipped, because capinfos is not installed');
    expect(text).toMatch(/Number of packets:\s+16\n/);
    expect(text).toMatch(/Number of interfaces in file:\s+2\n/);
    expect(text).toMatch(/Name = vf0\n/);
    expect(text).toMatch(/Description = function 0\n/);
    expect(text).toMatch(/Time precision = nanoseconds/);
    expect(text).toMatch(/Capture application:\s+ringwire\n/);
  });

  test('tshark finds time, direction and comment of a packet', ({ skip }) => {
    const fields = ['interface_name', 'len', 'time_epoch', 'packet_flags_direction', 'comment'];
    const columns = fields.flatMap((field) => ['-e', `frame.${field}`]);
    const text = askAbout('tshark', (path) => ['-r', path, '-T', 'fields', ...columns]);
    if (text === undefined) return skip('skipped, because tshark is not installed');
    const lines = text.split('\n').map((line) => line.split('\t'));
    expect(lines).toHaveLength(17);
    expect(lines[0]).toEqual(['vf0', '60', '1800000000.000000500', '0x00000001', '']);
    const comment = 'dropped: no buffer, ring 1 – ä';
    expect(lines[7]).toEqual(['wire', '63', '1800000000.004000500', '0x00000002', comment]);
  });
});
