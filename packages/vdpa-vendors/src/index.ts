export type { FunctionParent } from './function-parent.js';
export { ixgbeParent } from './ixgbe-parent.js';
export { type VendorParentOptions, vendorBParent } from './vendor-b-parent.js';
