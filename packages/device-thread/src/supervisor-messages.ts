import * as z from 'zod';
import type { ProtectedConfig, ProtectedRole } from './protected-config.js';
import type { ThreadOwners } from './thread-owners.js';
import { ThreadOwnersSchema } from './thread-schema.js';

/** What a supervisor is told first. Its configuration was checked; a thread's is again where it begins. */
export interface SupervisorOrder {
  readonly type: 'supervise';
  readonly config: ProtectedConfig;
  /** The control block. */
  readonly words: Int32Array;
  /** What workers run. */
  readonly workerUrl: string;
  readonly patienceMs: number;
  /** A supervisor ended, and with it the device: its driver resets it. */
  readonly again: boolean;
}

/** What it is told later: end the serving thread, go back to the primary, make a dead device anew, close. */
export interface ToSupervisor {
  readonly type: 'end' | 'back' | 'restart' | 'close';
}

export type FromSupervisor =
  | { readonly type: 'ready' }
  /** A thread has numbers, and may hold something by them; it does not run any more. */
  | { readonly type: 'thread'; readonly owners: ThreadOwners; readonly runs: boolean }
  /** Another thread stands by, or does not. */
  | { readonly type: 'waits'; readonly isThere: boolean }
  | { readonly type: 'tookOver'; readonly role: ProtectedRole; readonly reason: string }
  | { readonly type: 'back'; readonly problem?: string }
  | { readonly type: 'died'; readonly reason: string }
  | { readonly type: 'closed' };

export const ToSupervisorSchema: z.ZodType<ToSupervisor> = z.strictObject({
  type: z.enum(['end', 'back', 'restart', 'close']),
});

export const FromSupervisorSchema: z.ZodType<FromSupervisor> = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready') }),
  z.strictObject({ type: z.literal('thread'), owners: ThreadOwnersSchema, runs: z.boolean() }),
  z.strictObject({ type: z.literal('waits'), isThere: z.boolean() }),
  z.strictObject({ type: z.literal('tookOver'), role: z.enum(['primary', 'standby']), reason: z.string() }),
  z.strictObject({ type: z.literal('back'), problem: z.string().exactOptional() }),
  z.strictObject({ type: z.literal('died'), reason: z.string() }),
  z.strictObject({ type: z.literal('closed') }),
]);

export const isSupervisorOrder = (message: unknown): message is SupervisorOrder =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === 'supervise';
