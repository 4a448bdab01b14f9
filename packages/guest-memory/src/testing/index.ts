export {
  formatChange,
  GuardedGuest,
  type GuardedGuestOptions,
  type GuardedRegion,
  type GuestRange,
  type MemoryChange,
  type MemorySnapshot,
} from './guarded-memory.js';
