import { type NetModelConfig, type ProtectedConfig, protectionBytes } from '@ringwire/device-thread';
import { HostMemory } from '@ringwire/guest-memory';
import type { CablePlace } from '@ringwire/net-backend';
import type { CasePlan, Layout } from '../case-plan.js';
import { guestOf, NET_CABLE, NET_SCRATCH } from '../guest-layout.js';
import { net } from '../net-cases.js';
import { NET_QUEUE_SIZE, STATION } from '../net-layout.js';

const MIB = 0x10_0000;

/** What is between the device and the peer that its frames go to and come from. */
export const CABLE: CablePlace = { at: NET_CABLE.start, bytes: NET_CABLE.bytes, frames: 512 };
const STANDBY_SCRATCH = NET_CABLE.start + NET_CABLE.bytes;
const KEEP = STANDBY_SCRATCH + MIB;
/** Host offset of what the peer sends. */
export const OUTBOX: number = KEEP + MIB;
const HOST_BYTES = OUTBOX + MIB;

/** Turns of a device without frames before it asks to be notified, as in other cases with a poll-mode driver. */
const POLL_TURNS = 1000;
/** As in other cases: chains of a turn, and turns without work before a thread sleeps. */
const [BUDGET, SPIN_TURNS] = [64, 2000];

export const failoverMemory = (): HostMemory => HostMemory.create(HOST_BYTES);

/** How a guest's driver learns of what its device did. */
export type FailoverDriver = 'poll' | 'interrupt';

/** The frames and features of these cases: those of other cases with such a driver and frames of 64 bytes. */
export const planOf = (layout: Layout, driver: FailoverDriver): CasePlan =>
  net(layout, 'xthread', '64', { driver: driver === 'poll' ? 'pmd' : 'kernel', task: 'loop' });

function modelAt(scratch: number, driver: FailoverDriver): NetModelConfig {
  return {
    type: 'net',
    mac: [...STATION],
    scratch,
    backend: { type: 'cable', ...CABLE, end: 0 },
    rxQueueSize: NET_QUEUE_SIZE,
    txQueueSize: NET_QUEUE_SIZE,
    holdWhenFull: true,
    pollTurns: driver === 'poll' ? POLL_TURNS : 0,
  };
}

/** A device of one queue pair at one end of the cable, and what goes on for it. */
export function failoverConfig(memory: HostMemory, driver: FailoverDriver): ProtectedConfig {
  const model = modelAt(NET_SCRATCH, driver);
  if (protectionBytes(model) > OUTBOX - KEEP) throw new Error('the device does not fit where it is kept');
  return {
    memory: memory.wasm!,
    space: { type: 'regions', regions: guestOf(memory).regions },
    model,
    standby: modelAt(STANDBY_SCRATCH, driver),
    keep: KEEP,
    budget: BUDGET,
    spinTurns: SPIN_TURNS,
  };
}
