export {
  addSums,
  pseudoHeaderSum,
  putChecksum,
  putUdpChecksum,
  sumFrame,
  sumOfBe16,
  swapSum,
  updateSum,
} from './checksum.js';
export { FrameHeaders, IpHeaders } from './frame-headers.js';
export { hashReport, PacketHash } from './packet-hash.js';
export { HEADER_BYTES, parseFrame } from './parse-frame.js';
export { rssQueue } from './rss-queue.js';
export { Toeplitz } from './toeplitz.js';
export { ETHERNET, ETHERTYPE, IPPROTO, IPV4, IPV6, TCP, UDP, VLAN_TAG } from './wire.js';
