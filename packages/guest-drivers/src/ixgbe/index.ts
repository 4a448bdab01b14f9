export type { IxgbeCounters } from './ixgbe-counters.js';
export { IxgbeFrame, IxgbeOffload } from './ixgbe-offload.js';
export { type IxgbePf, openIxgbePf } from './pf-driver.js';
export type { FlowControl } from './pf-flow-control.js';
export { describeMail, type MailboxEntry } from './pf-log.js';
export type { IxgbePfCounters, IxgbePfEvents, IxgbePfSetup } from './pf-setup.js';
export type { VfChanges } from './pf-vf-settings.js';
export type { VfInfo, VfLink, VfSettings } from './pf-vf-state.js';
export {
  IxgbeVdpaControl,
  type IxgbeVdpaSetup,
  ixgbeVdpaVector,
  openIxgbeVdpaControl,
} from './vdpa-control.js';
export type { VfCommands } from './vf-commands.js';
export { type IxgbeVf, openIxgbeVf } from './vf-driver.js';
export { type IxgbeVfPoll, type IxgbeVfPollSetup, openIxgbeVfPoll } from './vf-poll-driver.js';
export type { IxgbeEvents, IxgbeSetup, IxgbeVfEvents, IxgbeVfSetup } from './vf-setup.js';
export type { AcceptMode } from './vf-wishes.js';
