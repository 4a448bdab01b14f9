import { MOST_CAPTURED } from './capture-options.js';
import { PcapError } from './pcap-error.js';
import { PCAP_HEADER, PCAP_MAGIC, PCAP_RECORD } from './pcap-layout.js';

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

/** A capture file's header and frames. */
export interface Pcap {
  /** LINKTYPE_ value; 1 is Ethernet. */
  readonly linkType: number;
  /** Most bytes of a frame that were to be captured; 0: no limit given. */
  readonly snapLength: number;
  readonly frames: readonly PcapFrame[];
}

/** A pcapng file begins with this in either byte order. */
const MAGIC_PCAPNG = 0x0a0d0d0a;
/** The word also has flags and the length of a frame check sequence. */
const LINK_TYPE_MASK = 0xffff;

/**
 * Read a capture file of the classic format: both byte orders, microseconds and nanoseconds.
 * Allocates one object per record and nothing by what the file claims.
 * @param file the whole file; the frames are views of it, valid as long as it is left alone
 * @throws PcapError for a file that is no pcap, or is cut or damaged
 */
export function readPcap(file: Uint8Array): Pcap {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  if (file.length < PCAP_HEADER.SIZE)
    throw new PcapError('file header', `${file.length} bytes`, `${PCAP_HEADER.SIZE} bytes`, PCAP_HEADER.magic);
  const { little, nanosecondsPerUnit } = readMagic(view);
  const version = `${view.getUint16(PCAP_HEADER.version_major, little)}.${view.getUint16(PCAP_HEADER.version_minor, little)}`;
  if (version !== '2.4') throw new PcapError('version', version, '2.4', PCAP_HEADER.version_major);
  const snapLength = view.getUint32(PCAP_HEADER.snaplen, little);
  const linkType = view.getUint32(PCAP_HEADER.linktype, little) & LINK_TYPE_MASK;

  // Some writers exceed their own snaplen; nobody exceeds what libpcap captures at most.
  const most = Math.max(snapLength, MOST_CAPTURED);
  const frames: PcapFrame[] = [];
  for (let at: number = PCAP_HEADER.SIZE; at < file.length; ) {
    if (file.length - at < PCAP_RECORD.SIZE)
      throw new PcapError(
        'packet record',
        `${file.length - at} bytes`,
        `${PCAP_RECORD.SIZE} bytes or the file's end`,
        at,
      );
    const unit = view.getUint32(at + PCAP_RECORD.ts_frac, little);
    const captured = view.getUint32(at + PCAP_RECORD.incl_len, little);
    const wireLength = view.getUint32(at + PCAP_RECORD.orig_len, little);
    const start = at + PCAP_RECORD.SIZE;
    if (unit * nanosecondsPerUnit >= 1e9)
      throw new PcapError('ts_frac', unit, `below ${1e9 / nanosecondsPerUnit}`, at + PCAP_RECORD.ts_frac);
    if (captured > most)
      throw new PcapError('incl_len', captured, `at most ${most} captured bytes`, at + PCAP_RECORD.incl_len);
    if (captured > file.length - start)
      throw new PcapError('incl_len', captured, `at most the file's ${file.length - start}`, at + PCAP_RECORD.incl_len);
    if (captured > wireLength)
      throw new PcapError('orig_len', wireLength, `at least the ${captured} captured bytes`, at + PCAP_RECORD.orig_len);
    frames.push({
      bytes: file.subarray(start, start + captured),
      wireLength,
      seconds: view.getUint32(at + PCAP_RECORD.ts_sec, little),
      nanoseconds: unit * nanosecondsPerUnit,
    });
    at = start + captured;
  }
  return { linkType, snapLength, frames };
}

/** @returns the file's byte order, and its unit of time */
function readMagic(view: DataView): { little: boolean; nanosecondsPerUnit: number } {
  for (const little of [true, false]) {
    const magic = view.getUint32(PCAP_HEADER.magic, little);
    if (magic === PCAP_MAGIC.MICROSECONDS) return { little, nanosecondsPerUnit: 1000 };
    if (magic === PCAP_MAGIC.NANOSECONDS) return { little, nanosecondsPerUnit: 1 };
  }
  const magic = view.getUint32(PCAP_HEADER.magic, false);
  const found = `0x${magic.toString(16).padStart(8, '0')}${magic === MAGIC_PCAPNG ? ' (pcapng)' : ''}`;
  throw new PcapError('magic', found, '0xa1b2c3d4 or 0xa1b23c4d in either byte order', PCAP_HEADER.magic);
}
