export { AssignedFunction } from './assignment/assigned-function.js';
export {
  FunctionAssignment,
  type FunctionAssignmentConfig,
  type FunctionGuest,
  type GuestRam,
  PASS_THROUGH,
} from './assignment/function-assignment.js';
export { isRefusal, REFUSED, type Refusal, type RefusedCode } from './assignment/refusal.js';
export { enableAcs } from './assignment/topology.js';
export { MessageRouter, type MessageSink } from './message-router.js';
export type { FunctionPlace, Personality, PhysicalPlace, VirtualPlace } from './personality.js';
export { type OwnedSpace, SriovNic, type SriovNicOptions } from './sriov-nic.js';
export {
  type FunctionCable,
  VIRTIO_NET_VF_ID,
  type VirtioFunctionOptions,
  virtioFunction,
  virtioPhysical,
  virtioVfBars,
} from './virtio-personality.js';
