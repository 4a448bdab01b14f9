import type { ConfigSpace } from './config-space.js';
import type { GuestOffloads } from './guest-offloads.js';
import type { NetDeviceSettings } from './net-options.js';
import type { NetPolicy } from './net-policy.js';
import type { NetQueue } from './net-queue.js';
import type { NetState } from './net-state.js';
import type { RxFilter } from './rx-filter.js';
import type { Steering } from './steering.js';

/** What control commands change. */
export interface NetDeviceParts {
  readonly settings: NetDeviceSettings;
  readonly state: NetState;
  readonly config: ConfigSpace;
  readonly filter: RxFilter;
  readonly guest: GuestOffloads;
  readonly steering: Steering;
  readonly policy: NetPolicy | undefined;
  /** By virtqueue index, without the control queue. */
  readonly dataQueues: readonly NetQueue[];
}
