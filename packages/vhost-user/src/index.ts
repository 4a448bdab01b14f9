export { SystemError } from '@ringwire/linux';
export type { FrontEndOptions } from './front-end-options.js';
export { openVhostUserTransport, type VhostUserTransport } from './front-end-transport.js';
export {
  type LoopTask,
  type PortState,
  type ServedDevice,
  VhostUserServer,
  type VhostUserServerOptions,
} from './server.js';
export type { RingLayouts } from './session.js';
export { type RamRegion, SharedRam, type SharedRegion } from './shared-ram.js';
