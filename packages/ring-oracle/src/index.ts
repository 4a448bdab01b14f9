export { inspectRing } from './inspect-ring.js';
export { hex, type MemoryReader, type Presence } from './memory-reader.js';
export type * from './report.js';
export type { GivenPosition, RingInput } from './ring-input.js';
export { REMARKS, type RemarkId, RULES, type Rule, type RuleId } from './rules.js';
export { type MemoryPiece, type MemoryRange, SavedMemory } from './saved-memory.js';
