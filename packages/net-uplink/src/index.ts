export { TAP_BYTES, TapUplink, type TapUplinkOptions } from './tap-uplink.js';
export type { Uplink, UplinkCounters } from './uplink.js';
