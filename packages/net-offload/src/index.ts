export { MAX_SEGMENTS } from './check-offloads.js';
export {
  addSums,
  pseudoHeaderSum,
  putChecksum,
  putUdpChecksum,
  sumFrame,
  swapSum,
  updateSum,
} from './checksum.js';
export { FrameHeaders, IpHeaders } from './frame-headers.js';
export { finishFrame, OFFLOAD_AREA_BYTES, OffloadEngine } from './offload-engine.js';
export { OFFLOAD_FAULT, type OffloadCounters } from './offload-fault.js';
export { hashReport, PacketHash } from './packet-hash.js';
export { HEADER_BYTES, parseFrame } from './parse-frame.js';
export { rssQueue } from './rss-queue.js';
export { SegmentProgress } from './segment-progress.js';
export { Toeplitz } from './toeplitz.js';
export { CHECKSUMS, type Checksums, verifyChecksums } from './verify-checksums.js';
export { ETHERNET, ETHERTYPE, IPPROTO, IPV4, IPV6, TCP, UDP, VLAN_TAG } from './wire.js';
