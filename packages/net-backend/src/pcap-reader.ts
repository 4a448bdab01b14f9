import { PcapError } from './pcap-error.js';

/** One captured frame. */
export interface PcapFrame {
  /** A view of the file's bytes; fewer than `wireLength` when the capture cut the frame. */
  readonly bytes: Uint8Array;
  /** Bytes that the frame had on the wire. */
  readonly wireLength: number;
  /** Time of capture: whole seconds, as a rule since 1970 … */
  readonly seconds: number;
  /** … and what is left of the second, 0 … 999,999,999. A file of microseconds gives multiples of 1000. */
  readonly nanoseconds: number;
}

export interface Pcap {
  /** LINKTYPE_ value; 1 is Ethernet. */
  readonly linkType: number;
  /** Most bytes of a frame that were to be captured; 0: no limit given. */
  readonly snapLength: number;
  readonly frames: readonly PcapFrame[];
}

/** draft-ietf-opsawg-pcap §4 File Header. Byte offsets; the magic number tells the byte order of all fields. */
const HEADER = { magic: 0, version_major: 4, version_minor: 6, snaplen: 16, linktype: 20, SIZE: 24 } as const;
/** draft-ietf-opsawg-pcap §5 Packet Record, without its data. */
const RECORD = { ts_sec: 0, ts_frac: 4, incl_len: 8, orig_len: 12, SIZE: 16 } as const;

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const MAGIC_NANOSECONDS = 0xa1b23c4d;
/** A pcapng file begins with this in either byte order. */
const MAGIC_PCAPNG = 0x0a0d0d0a;
/** The word also has flags and the length of a frame check sequence. */
const LINK_TYPE_MASK = 0xffff;
/** The most that libpcap captures of a frame. Some writers exceed their own snaplen; nobody exceeds this. */
const MOST_CAPTURED = 262_144;

/**
 * Read a capture file of the classic format: both byte orders, microseconds and nanoseconds.
 * Allocates one object per record and nothing by what the file claims.
 * @param file the whole file; the frames are views of it, valid as long as it is left alone
 * @throws PcapError for a file that is no pcap, or is cut or damaged
 */
export function readPcap(file: Uint8Array): Pcap {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < HEADER.SIZE)
    throw new PcapError('file header', `${file.length} bytes`, `${HEADER.SIZE} bytes`, HEADER.magic);
  const { little, nanosecondsPerUnit } = readMagic(view);
  const version = `${view.getUint16(HEADER.version_major, little)}.${view.getUint16(HEADER.version_minor, little)}`;
  if (version !== '2.4') throw new PcapError('version', version, '2.4', HEADER.version_major);
  const snapLength = view.getUint32(HEADER.snaplen, little);
  const linkType = view.getUint32(HEADER.linktype, little) & LINK_TYPE_MASK;

  const most = Math.max(snapLength, MOST_CAPTURED);
  const frames: PcapFrame[] = [];
  for (let at: number = HEADER.SIZE; at < file.length; ) {
    if (file.length - at < RECORD.SIZE)
      throw new PcapError('packet record', `${file.length - at} bytes`, `${RECORD.SIZE} bytes or the file's end`, at);
    const unit = view.getUint32(at + RECORD.ts_frac, little);
    const captured = view.getUint32(at + RECORD.incl_len, little);
    const wireLength = view.getUint32(at + RECORD.orig_len, little);
    const start = at + RECORD.SIZE;
    if (unit * nanosecondsPerUnit >= 1e9)
      throw new PcapError('ts_frac', unit, `below ${1e9 / nanosecondsPerUnit}`, at + RECORD.ts_frac);
    if (captured > most)
      throw new PcapError('incl_len', captured, `at most ${most} captured bytes`, at + RECORD.incl_len);
    if (captured > file.length - start)
      throw new PcapError('incl_len', captured, `at most the file's ${file.length - start}`, at + RECORD.incl_len);
    if (captured > wireLength)
      throw new PcapError('orig_len', wireLength, `at least the ${captured} captured bytes`, at + RECORD.orig_len);
    frames.push({
      bytes: file.subarray(start, start + captured),
      wireLength,
      seconds: view.getUint32(at + RECORD.ts_sec, little),
      nanoseconds: unit * nanosecondsPerUnit,
    });
    at = start + captured;
  }
  return { linkType, snapLength, frames };
}

/** @returns the file's byte order, and its unit of time */
function readMagic(view: DataView): { little: boolean; nanosecondsPerUnit: number } {
  for (const little of [true, false]) {
    const magic = view.getUint32(HEADER.magic, little);
    if (magic === MAGIC_MICROSECONDS) return { little, nanosecondsPerUnit: 1000 };
    if (magic === MAGIC_NANOSECONDS) return { little, nanosecondsPerUnit: 1 };
  }
  const magic = view.getUint32(HEADER.magic, false);
  const found = `0x${magic.toString(16).padStart(8, '0')}${magic === MAGIC_PCAPNG ? ' (pcapng)' : ''}`;
  throw new PcapError('magic', found, '0xa1b2c3d4 or 0xa1b23c4d in either byte order', HEADER.magic);
}
