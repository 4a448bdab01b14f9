export { PcapError } from './pcap-error.js';
export { type Pcap, type PcapFrame, readPcap } from './pcap-reader.js';
