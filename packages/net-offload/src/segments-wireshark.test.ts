import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, PcapWriter } from '@ringwire/net-backend';
import { VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec';
import { expect, test } from 'vitest';
import { finishFrame, OffloadEngine } from './offload-engine.js';
import { frameOf } from './testing/frames.js';
import { type GiantFields, giant } from './testing/giants.js';

const GSO = VIRTIO_NET_HDR_GSO;
const memory = HostMemory.create(0x4_0000);

/** The frames that one frame becomes, as Wireshark sees them: a line per frame, a column per field. */
function dissect(wanted: GiantFields, fields: readonly string[]): string[][] | undefined {
  const parts: number[] = [];
  let micros = 0;
  const writer = new PcapWriter((bytes) => parts.push(...bytes), { clock: () => micros++ });
  const made = giant(wanted);
  const frame = Object.assign(frameOf(memory, 0x1_0000, made.bytes, [200, 1001]), made.fields);
  expect(finishFrame(new OffloadEngine(memory, 0x3_0000), frame, writer)).toBe(DELIVERED.ACCEPTED);
  const columns = fields.flatMap((field) => ['-e', field]);
  const checks = ['ip', 'tcp', 'udp'].flatMap((protocol) => ['-o', `${protocol}.check_checksum:TRUE`]);
  const directory = mkdtempSync(join(tmpdir(), 'ringwire-'));
  try {
    const path = join(directory, 'a.pcap');
    writeFileSync(path, Uint8Array.from(parts));
    const args = ['-r', path, ...checks, '-T', 'fields', '-E', 'occurrence=a', ...columns];
    const text = execFileSync('tshark', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    return text
      .split('\n')
      .slice(0, -1)
      .map((line) => line.split('\t'));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Wireshark's word for a good checksum, and what it prints for a field that is not there. */
const GOOD = '1';
const NONE = '';
const MISSING = 'skipped, because tshark is not installed';

test.for([
  ['TSO4', { type: GSO.TCPV4 }, GOOD],
  ['TSO6', { type: GSO.TCPV6 }, NONE],
] as const)('tshark finds checksums, sequence numbers and lengths of %s good', ([, wanted, ip], { skip }) => {
  const fields = [
    'ip.checksum.status',
    'tcp.checksum.status',
    'tcp.len',
    'tcp.seq',
    'tcp.analysis.flags',
    'tcp.flags.push',
  ];
  const lines = dissect({ ...wanted, payload: 4000, size: 1400 }, fields);
  if (lines === undefined) return skip(MISSING);
  expect(lines).toEqual([
    [ip, GOOD, '1400', '1', NONE, '0'],
    [ip, GOOD, '1400', '1401', NONE, '0'],
    [ip, GOOD, '1200', '2801', NONE, '1'],
  ]);
});

test.for([
  ['USO4', { type: GSO.UDP_L4, version: 4 }, GOOD],
  ['USO6', { type: GSO.UDP_L4, version: 6 }, NONE],
] as const)('tshark finds checksums and lengths of %s good', ([, wanted, ip], { skip }) => {
  const lines = dissect({ ...wanted, payload: 3000, size: 1400 }, [
    'ip.checksum.status',
    'udp.checksum.status',
    'udp.length',
  ]);
  if (lines === undefined) return skip(MISSING);
  expect(lines).toEqual([
    [ip, GOOD, '1408'],
    [ip, GOOD, '1408'],
    [ip, GOOD, '208'],
  ]);
});

test.for([
  ['TSO6 over IPv4', { type: GSO.TCPV6, tunnel: 4 }, GOOD],
  ['TSO4 over IPv6', { type: GSO.TCPV4, tunnel: 6 }, GOOD],
  ['TSO4 over IPv4', { type: GSO.TCPV4, tunnel: 4 }, `${GOOD},${GOOD}`],
] as const)('tshark finds outer and inner checksums of VXLAN with %s good', ([, wanted, ip], { skip }) => {
  const fields = [
    'ip.checksum.status',
    'udp.checksum.status',
    'tcp.checksum.status',
    'tcp.len',
    'tcp.seq',
    'frame.protocols',
  ];
  const lines = dissect({ ...wanted, payload: 3000, size: 1400, outerChecksum: true }, fields);
  if (lines === undefined) return skip(MISSING);
  expect(lines.map((line) => line.slice(0, 5))).toEqual([
    [ip, GOOD, GOOD, '1400', '1'],
    [ip, GOOD, GOOD, '1400', '1401'],
    [ip, GOOD, GOOD, '200', '2801'],
  ]);
  for (const line of lines) expect(line[5]).toContain('udp:vxlan:eth');
});

test.for([
  ['IPv4', { type: GSO.UDP, version: 4 }, 'ip'],
  ['IPv6', { type: GSO.UDP, version: 6 }, 'ipv6'],
] as const)('tshark puts fragments over %s together, and finds the checksum good', ([, wanted, ip], { skip }) => {
  const reassembled = `${ip}.reassembled.length`;
  const lines = dissect({ ...wanted, payload: 4000, size: 1480 }, [
    reassembled,
    `${ip}.fragment.count`,
    'udp.checksum.status',
  ]);
  if (lines === undefined) return skip(MISSING);
  expect(lines).toEqual([
    [NONE, NONE, NONE],
    [NONE, NONE, NONE],
    ['4008', '3', GOOD],
  ]);
});
