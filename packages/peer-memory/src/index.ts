export { type Mapping, PeerMemory } from './peer-memory.js';
