import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostMemory } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, readPcap } from '@ringwire/net-backend';
import { type FrameFields, ScriptedBackend } from '@ringwire/net-backend/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { CaptureFile } from './capture-file.js';
import { PcapUplink, pcapUplinkBytes } from './pcap-uplink.js';
import { ARP_REPLY, ARP_REQUEST, bytesOf, frameAt, GUEST, HOST, PING } from './testing/frames.js';

const FRAME_AT = 0x1_0000;

let directory: string;
let path: string;
let memory: HostMemory;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringwire-pcap-'));
  path = join(directory, 'sent.pcap');
  memory = HostMemory.create(0x2_0000);
});

afterEach(() => rmSync(directory, { recursive: true }));

const send = (by: PcapUplink, bytes: Uint8Array, fields: Partial<FrameFields> = {}): Delivered =>
  by.receive(frameAt(memory, FRAME_AT, bytes, fields, 11));
const written = (): Uint8Array[] => readPcap(readFileSync(path)).frames.map(({ bytes }) => Uint8Array.from(bytes));

/** Classic pcap, little-endian, microseconds, Ethernet. */
function capture(...frames: Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = [new Uint8Array(Uint32Array.of(0xa1b2_c3d4, 0x0004_0002, 0, 0, 0xffff, 1).buffer)];
  for (const frame of frames)
    parts.push(new Uint8Array(Uint32Array.of(0, 0, frame.length, frame.length).buffer), frame);
  return Buffer.concat(parts);
}

test('what is sent can be read after a flush, while more comes', () => {
  const uplink = new PcapUplink({ memory, at: 0, write: path });
  expect(send(uplink, ARP_REQUEST)).toBe(DELIVERED.ACCEPTED);
  uplink.flush();
  expect(written()).toEqual([ARP_REQUEST]);
  send(uplink, PING);
  uplink.close();
  expect(written()).toEqual([ARP_REQUEST, PING]);
  expect(uplink.counters).toMatchObject({ sent: 2, sentBytes: 42 + 46, received: 0 });
});

test('a checksum that was left undone is finished in the capture, and a wrong offer is dropped', () => {
  const uplink = new PcapUplink({ memory, at: 0, write: path });
  // UDP of 4 bytes; pseudo-header c000 + 0202 + c000 + 0201 + 0011 + 000c = 8421.
  const head = `${HOST} ${GUEST} 0800 4500 0020 0000 4000 4011 b6c9 c0000202 c0000201 0007 1388 000c`;
  expect(send(uplink, bytesOf(`${head} 8421 61626364`), { flags: 1, csumStart: 34, csumOffset: 6 })).toBe(
    DELIVERED.ACCEPTED,
  );
  expect(send(uplink, PING, { gsoType: 1, gsoSize: 9 })).toBe(DELIVERED.DROPPED);
  uplink.close();
  expect(written()).toEqual([bytesOf(`${head} a37c 61626364`)]);
  expect(uplink.counters.drops.badOffload).toBe(1);
});

test('a capture is played once there is an audience, as fast as it has room', () => {
  const play = readPcap(capture(ARP_REQUEST, ARP_REPLY, PING));
  let isAudience = false;
  const uplink = new PcapUplink({ memory, at: 0, play, isAudience: () => isAudience });
  expect(pcapUplinkBytes(play)).toBe(8 * Math.ceil((pcapUplinkBytes(undefined) + 42 + 42 + 46) / 8));
  const guest = new ScriptedBackend(0, [DELIVERED.ACCEPTED, DELIVERED.FULL, DELIVERED.DROPPED]);
  uplink.attach(guest);
  expect(uplink.pump(10)).toBe(0);
  isAudience = true;
  expect([uplink.pump(10), uplink.pump(10), uplink.pump(10)]).toEqual([1, 2, 0]);
  expect(guest.bytes).toEqual([ARP_REQUEST, PING]);
  expect(uplink.counters).toMatchObject({ received: 3, drops: { undelivered: 1 } });
  // Nobody writes down what devices send.
  expect(send(uplink, PING)).toBe(DELIVERED.ACCEPTED);
});

test('a file that cannot be made is refused, and one that takes no more ends there', () => {
  expect(() => new PcapUplink({ memory, at: 0, write: join(directory, 'none', 'x') })).toThrow('ENOENT');
  const full = new PcapUplink({ memory, at: 0, write: '/dev/full' });
  send(full, PING);
  full.flush();
  expect(full.problem).toBe('ENOSPC');
  expect(send(full, PING)).toBe(DELIVERED.DROPPED);
  expect(full.counters.drops.unwritten).toBe(1);
  full.close();
});

test('a capture file has whole records only, whatever their size', () => {
  const file = new CaptureFile(path);
  file.write(Uint8Array.of(1, 2));
  file.endRecord();
  file.write(Uint8Array.of(3));
  file.flush();
  expect([...readFileSync(path)]).toEqual([1, 2]);
  const large = Uint8Array.from({ length: 300_000 }, (_, at) => at);
  file.write(large);
  expect([...readFileSync(path)]).toEqual([1, 2]);
  file.endRecord();
  expect(Buffer.compare(readFileSync(path), Buffer.from([1, 2, 3, ...large]))).toBe(0);
  file.write(Uint8Array.of(9));
  file.close();
  file.close();
  expect(readFileSync(path)).toHaveLength(300_003);
});
