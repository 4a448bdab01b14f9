export { AdministeredFunctions } from './administered-functions.js';
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
export { followLink } from './link-follower.js';
export { MessageRouter, type MessageSink } from './message-router.js';
export type { FunctionPlace, Personality, PhysicalPlace, VirtualPlace } from './personality.js';
export { type FlowRule, matchesFlow } from './receive-path/flow-rule.js';
export { GuestMessages, type GuestMessagesOptions } from './receive-path/guest-messages.js';
export { GuestNic, type GuestNicOptions } from './receive-path/guest-nic.js';
export { HostPath, type HostPathCounters, type HostPathSetup, openHostPath } from './receive-path/host-path.js';
export { InterruptSteering, messageTo, type SteeringRow } from './receive-path/interrupt-steering.js';
export {
  ANY_VLAN,
  CLASSIFIED,
  NO_POOL,
  PoolClassifier,
  type PoolClassifierOptions,
} from './receive-path/pool-classifier.js';
export { type MemoryOwner, type ReceiveStep, type ReceiveTotals, ReceiveTrace } from './receive-path/receive-trace.js';
export { type OwnedSpace, SriovNic, type SriovNicOptions } from './sriov-nic.js';
export {
  type FunctionCable,
  VIRTIO_NET_VF_ID,
  type VirtioFunctionOptions,
  virtioFunction,
  virtioPhysical,
  virtioVfBars,
} from './virtio-personality.js';
export { VirtioPlane, type VirtioPlaneConfig, type VirtqueueSetup } from './virtio-plane.js';
