export { VendorBCard, type VendorBCardOptions } from './vendor-b-card.js';
export type { VendorBCounters } from './vendor-b-counters.js';
export type { VendorBFunction, VendorBFunctionOptions } from './vendor-b-function.js';
export { vendorBVfBars } from './vendor-b-pci.js';
