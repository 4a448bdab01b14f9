export { ACCESS, type AddressSpace, type AddressWindow, NO_WINDOW, RESOLVE } from './address-space.js';
export type { CopyEngine } from './copy-engine.js';
export { GuestMemory, type GuestRegion } from './guest-memory.js';
export { HostMemory } from './host-memory.js';
export { IdentitySpace } from './identity-space.js';
export { PageAllocator } from './page-allocator.js';
export { copyRanges, gather, scatter } from './range-copy.js';
export { RangeList } from './range-list.js';
export type { WasmMemory } from './web-assembly.js';
