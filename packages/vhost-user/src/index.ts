export { SystemError } from '@ringwire/linux';
export { type Mapping, PeerMemory } from './peer-memory.js';
export { type ServedDevice, VhostUserServer, type VhostUserServerOptions } from './server.js';
