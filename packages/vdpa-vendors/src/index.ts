export { CardSlot, messagesFor, PHYSICAL_ID, type SlotPlugs, type SpaceWrap } from './card-slot.js';
export type { FunctionParent } from './function-parent.js';
export { ixgbeParent } from './ixgbe-parent.js';
export type { VendorParentOptions } from './parent-options.js';
export { vendorBParent } from './vendor-b-parent.js';
