export type { VdpaFacts, VdpaRing } from '../vdpa-plane.js';
export { type AdminAnswer, AdminChannel } from './admin-channel.js';
export { bindVendorB, type VendorBRegisters } from './bind-vendor-b.js';
export {
  doorbellPage,
  openVdpaControl,
  VdpaControl,
  type VdpaControlSetup,
} from './vdpa-control.js';
export type { VendorBCommands } from './vendor-b-commands.js';
export { openVendorBDriver, type VendorBDriver, type VendorBDriverCounters } from './vendor-b-driver.js';
export type { VendorBEvents, VendorBSetup } from './vendor-b-setup.js';
