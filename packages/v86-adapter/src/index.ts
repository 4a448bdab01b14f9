export { attachNics, type V86Machine } from './attach-nics.js';
export type { V86Nic, V86NicOptions } from './v86-nic.js';
export { TESTED_VERSIONS } from './v86-parts.js';
