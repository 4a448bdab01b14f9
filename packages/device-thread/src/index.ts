export type { CreateModel } from './build-model.js';
export { LIFE, type Life } from './control-layout.js';
export { DeviceLink, type LinkOptions, type LinkPlace } from './device-link.js';
export { DeviceThread, type ThreadOptions } from './device-thread.js';
export {
  closeFunctions,
  FunctionServer,
  type FunctionWork,
  newFunctionPlaces,
  type ReachableFunction,
} from './function-server.js';
export { threadScratchBytes } from './handover.js';
export type { InterruptHandlers } from './interrupt-words.js';
export { ParkingSpot, SPOT_WORDS } from './parking-spot.js';
export { type ProtectedConfig, type ProtectedRole, protectionBytes } from './protected-config.js';
export { type ProtectedOptions, ProtectedThread } from './protected-thread.js';
export { closePlace, newLinkPlace, type PlaceOptions, type ServeConfig, serveDevice } from './serve-device.js';
export type {
  BackendConfig,
  ModelConfig,
  NetModelConfig,
  SpaceConfig,
  ThreadConfig,
} from './thread-config.js';
export type { SpawnWorker, ThreadWorker, WorkerEvents } from './thread-worker.js';
