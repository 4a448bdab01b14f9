export { SystemError } from '@ringwire/linux';
export { type Mapping, PeerMemory } from './peer-memory.js';
export {
  type LoopTask,
  type PortState,
  type ServedDevice,
  VhostUserServer,
  type VhostUserServerOptions,
} from './server.js';
export type { RingLayouts } from './session.js';
