export { CaptureFile } from './capture-file.js';
export { PcapUplink, type PcapUplinkOptions, pcapUplinkBytes } from './pcap-uplink.js';
export { TAP_BYTES, TapUplink, type TapUplinkOptions } from './tap-uplink.js';
export type { Uplink, UplinkCounters } from './uplink.js';
export { VXLAN_BYTES, VxlanUplink, type VxlanUplinkOptions } from './vxlan-uplink.js';
