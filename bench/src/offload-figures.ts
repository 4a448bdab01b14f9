import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, type FrameSink } from '@ringwire/net-backend';
import { FrameHeaders, finishFrame, OffloadEngine, PacketHash, parseFrame, Toeplitz } from '@ringwire/net-offload';
import { VIRTIO_NET_HASH_TYPE, VIRTIO_NET_HDR_F, VIRTIO_NET_HDR_GSO } from '@ringwire/virtio-spec/net';
import type { Timing } from './case-plan.js';
import { digits, median, spreadPercent } from './statistics.js';

/** What one piece of a network device's work costs, in one thread. */
export interface OffloadFigure {
  /** Such as `offload/checksum/1500`. */
  readonly name: string;
  /** 10^9 bytes or 10^6 hashes per second. */
  readonly rate: number;
  readonly unit: 'GB/s' | 'M hashes/s';
  /** Median of the rounds, for one range, hash or frame. */
  readonly nsEach: number;
  /** Slowest less fastest round, in percent of the median. */
  readonly spread: number;
}

interface Work {
  /** Bytes that a turn goes through; 0 for hashes. */
  readonly bytes: number;
  /** Do it so many times. @returns the last result, which is compared with `wanted` */
  readonly run: (times: number) => number;
  readonly wanted: number;
}

const MEMORY_BYTES = 0x4_0000;
const FRAME_AT = 0x1_0000;
const AREA_AT = 0x3_0000;
const GIANT_PAYLOAD = 64_000;
const SEGMENT_PAYLOAD = 1448;
/** Turns between two looks at the clock. */
const CHUNK = 1000;

/** Key, addresses, ports and hashes that Microsoft publishes for verification. */
const RSS_KEY = '6d5a56da255b0ec24167253d43a38fb0d0ca2bcbae7b30b477cb2da38030f20c6a42b73bbeac01fa';
const TCP4 = '4500 0028 0000 4000 4006 0000 420995bb a18e6450 0aea06e6 00000000 00000000 5010 0000 00000000';
const TCP6 =
  '60000000 0014 0640 3ffe250102001fff0000000000000007 3ffe2501020000030000000000000001 0aea06e6 00000000 00000000 5010 0000 00000000';
const ETHERNET = '020000000002 020000000001';

/** What is measured, made when it is. */
const WORKS: readonly [name: string, make: () => Work][] = [
  ['offload/checksum/64', () => checksum(64)],
  ['offload/checksum/1500', () => checksum(1500)],
  ['offload/toeplitz/tcpv4', () => hash('0800', TCP4, 0x51ccc178)],
  ['offload/toeplitz/tcpv6', () => hash('86dd', TCP6, 0x40207d3d)],
  [`offload/tso/${GIANT_PAYLOAD}`, () => tso()],
];

/** The names of all figures, in their order. */
export const OFFLOAD_NAMES: readonly string[] = WORKS.map(([name]) => name);

/** Measure those whose name matches. */
export function measureOffloads(pattern: RegExp | undefined, timing: Timing): OffloadFigure[] {
  return WORKS.filter(([name]) => pattern === undefined || pattern.test(name)).map(([name, make]) =>
    measure(name, make(), timing),
  );
}

/** The figures as lines for people. */
export function formatOffloads(figures: readonly OffloadFigure[]): string {
  return figures
    .map(({ name, rate, unit, nsEach, spread }) => {
      const cells = `${digits(rate).padStart(7)} ${unit.padEnd(10)}${digits(nsEach).padStart(9)} ns`;
      return `  ${name.padEnd(38)}${cells}${`${spread.toFixed(0)} %`.padStart(8)}\n`;
    })
    .join('');
}

function measure(name: string, { bytes, run, wanted }: Work, { warmSeconds, seconds, repeats }: Timing): OffloadFigure {
  nsOf(run, warmSeconds);
  const rounds = Array.from({ length: repeats }, () => nsOf(run, seconds));
  const found = run(1);
  if (found !== wanted) throw new Error(`${name} came to ${found}, not to ${wanted}`);
  const nsEach = median(rounds);
  const unit = bytes === 0 ? 'M hashes/s' : 'GB/s';
  return { name, unit, rate: bytes === 0 ? 1e3 / nsEach : bytes / nsEach, nsEach, spread: spreadPercent(rounds) };
}

function nsOf(run: (times: number) => number, seconds: number): number {
  const begin = process.hrtime.bigint();
  const end = begin + BigInt(Math.round(seconds * 1e9));
  let times = 0;
  let now = begin;
  do {
    run(CHUNK);
    times += CHUNK;
    now = process.hrtime.bigint();
  } while (now < end);
  return Number(now - begin) / times;
}

function checksum(bytes: number): Work {
  const memory = HostMemory.create(MEMORY_BYTES);
  memory.u8.fill(0xff, FRAME_AT, FRAME_AT + bytes);
  const run = (times: number): number => {
    let sum = 0;
    for (let turn = 0; turn < times; turn++) sum = memory.engine.checksum(FRAME_AT, bytes);
    return sum;
  };
  return { bytes, run, wanted: 0xffff };
}

function hash(type: string, packet: string, wanted: number): Work {
  const frame = bytesOf(ETHERNET + type + packet);
  const memory = HostMemory.create(MEMORY_BYTES);
  memory.u8.set(frame, FRAME_AT);
  const headers = new FrameHeaders();
  parseFrame(memory.u8, FRAME_AT, frame.length, headers);
  const toeplitz = new Toeplitz(bytesOf(RSS_KEY));
  const types = VIRTIO_NET_HASH_TYPE.TCPv4 | VIRTIO_NET_HASH_TYPE.TCPv6;
  const packetHash = new PacketHash();
  const run = (times: number): number => {
    for (let turn = 0; turn < times; turn++) packetHash.compute(toeplitz, types, 0, memory.u8, FRAME_AT, headers);
    return packetHash.value >>> 0;
  };
  return { bytes: 0, run, wanted };
}

/** Counts what it is given. */
class CountingSink implements FrameSink {
  readonly offloads = 0;
  frames = 0;

  receive(_frame: Frame): Delivered {
    this.frames++;
    return DELIVERED.ACCEPTED;
  }
}

function tso(): Work {
  const headers = bytesOf(`${ETHERNET}0800${TCP4}`);
  const memory = HostMemory.create(MEMORY_BYTES);
  memory.u8.set(headers, FRAME_AT);
  memory.view.setUint16(FRAME_AT + 16, headers.length - 14 + GIANT_PAYLOAD);
  const frame = new Frame(memory);
  frame.ranges = new RangeList();
  frame.ranges.push(FRAME_AT, headers.length + GIANT_PAYLOAD);
  frame.end = 1;
  frame.length = headers.length + GIANT_PAYLOAD;
  frame.flags = VIRTIO_NET_HDR_F.NEEDS_CSUM;
  frame.gsoType = VIRTIO_NET_HDR_GSO.TCPV4;
  frame.gsoSize = SEGMENT_PAYLOAD;
  frame.csumStart = 34;
  frame.csumOffset = 16;
  const engine = new OffloadEngine(memory, AREA_AT);
  const sink = new CountingSink();
  const run = (times: number): number => {
    const before = sink.frames;
    for (let turn = 0; turn < times; turn++) finishFrame(engine, frame, sink);
    return (sink.frames - before) / times;
  };
  const wanted = Math.ceil(GIANT_PAYLOAD / SEGMENT_PAYLOAD);
  return { bytes: GIANT_PAYLOAD, run, wanted };
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.replaceAll(' ', '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
