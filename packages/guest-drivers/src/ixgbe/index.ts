export type { IxgbeCounters } from './ixgbe-counters.js';
export { IxgbeFrame, IxgbeOffload } from './ixgbe-offload.js';
export type { VfCommands } from './vf-commands.js';
export { type IxgbeVf, openIxgbeVf } from './vf-driver.js';
export { type IxgbeVfPoll, type IxgbeVfPollSetup, openIxgbeVfPoll } from './vf-poll-driver.js';
export type { IxgbeEvents, IxgbeSetup, IxgbeVfEvents, IxgbeVfSetup } from './vf-setup.js';
export type { AcceptMode } from './vf-wishes.js';
