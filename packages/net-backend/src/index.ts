export { copyFrame, frameBytes } from './copy-frame.js';
export { Frame } from './frame.js';
export { DELIVERED, type Delivered, type FrameSink, type NetBackend, OFFLOAD } from './net-backend.js';
export { PcapError } from './pcap-error.js';
export { type Pcap, type PcapFrame, readPcap } from './pcap-reader.js';
