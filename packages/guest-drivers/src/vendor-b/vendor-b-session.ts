import {
  ADMIN_OP,
  P_COMPLETION_RING,
  P_SUBMISSION_RING,
  R_IDENTIFY,
  RING_KIND,
  WORK_OP,
} from '@ringwire/nic-spec/vendor-b';
import { BREAK, type Breakdown, breakdown, isBreakdown } from '../breakdown.js';
import type { DmaArena } from '../dma-arena.js';
import type { Patience } from '../patience.js';
import { AdminChannel } from './admin-channel.js';
import type { VendorBRegisters } from './bind-vendor-b.js';
import { CompletionQueue } from './completion-queue.js';
import { WorkRing } from './work-ring.js';

const MAC_BYTES = 6;
const GROUP = 1;
const TWO_32 = 0x1_0000_0000;
/** Vector of completions; vector 0 is for events. */
export const COMPLETION_VECTOR = 1;
/** The receive ring's id. */
const RX = 0;
/** The transmit ring's id. */
export const TX = 1;

/** One life of a function, from reset to reset: its rings, and the channel for commands. */
export interface VendorBSession {
  readonly admin: AdminChannel;
  readonly mac: Uint8Array;
  readonly rx: WorkRing;
  readonly tx: WorkRing;
  readonly completions: CompletionQueue;
  /** Of all rings: doorbells carry it. */
  readonly generation: number;
}

/**
 * Set up a function that was reset.
 * @param generation 1 to 65535, another one than in the life before
 * @returns the session, or what is wrong with the function: the caller resets it then, before memory is freed
 */
export function openVendorBSession(
  registers: VendorBRegisters,
  arena: DmaArena,
  patience: Patience,
  { entries, bufferBytes }: { readonly entries: number; readonly bufferBytes: number },
  generation: number,
): VendorBSession | Breakdown {
  const admin = new AdminChannel(registers, arena, patience);
  const facts = admin.require(ADMIN_OP.IDENTIFY);
  if (isBreakdown(facts)) return facts;
  const mac = Uint8Array.from({ length: MAC_BYTES }, (_, byte) => facts.getUint8(R_IDENTIFY.mac + byte));
  const entriesMax = facts.getUint16(R_IDENTIFY.entriesMax, true);
  if ((mac[0]! & GROUP) !== 0 || mac.every((byte) => byte === 0) || entriesMax < 2 * entries)
    return breakdown(BREAK.CONFIG, `rings of ${entriesMax} entries, want ${2 * entries}, and the address of a station`);
  const completions = new CompletionQueue(arena, 2 * entries);
  const rx = new WorkRing(arena, RX, entries, WORK_OP.RECEIVE, bufferBytes);
  const tx = new WorkRing(arena, TX, entries, WORK_OP.SEND, bufferBytes);
  const problem =
    problemOf(
      admin.require(ADMIN_OP.CREATE_COMPLETION_RING, (to) => {
        putRing(to, { id: 0, entries: completions.entries, address: completions.address }, generation);
        to.setUint16(P_COMPLETION_RING.vector, COMPLETION_VECTOR, true);
      }),
    ) ??
    problemOf(createWork(admin, rx, RING_KIND.RECEIVE, generation)) ??
    problemOf(createWork(admin, tx, RING_KIND.TRANSMIT, generation));
  return problem ?? { admin, mac, rx, tx, completions, generation };
}

const problemOf = (outcome: DataView | Breakdown): Breakdown | undefined =>
  isBreakdown(outcome) ? outcome : undefined;

function createWork(admin: AdminChannel, ring: WorkRing, kind: number, generation: number): DataView | Breakdown {
  return admin.require(ADMIN_OP.CREATE_SUBMISSION_RING, (to) => {
    putRing(to, ring, generation);
    to.setUint16(P_SUBMISSION_RING.kind, kind, true);
    to.setUint16(P_SUBMISSION_RING.completionRing, 0, true);
  });
}

/** What both commands have in the same places. */
function putRing(
  to: DataView,
  { id, entries, address }: { readonly id: number; readonly entries: number; readonly address: number },
  generation: number,
): void {
  const at = P_COMPLETION_RING;
  to.setUint16(at.id, id, true);
  to.setUint16(at.entries, entries, true);
  to.setUint16(at.generation, generation, true);
  to.setUint32(at.address, address >>> 0, true);
  to.setUint32(at.address + 4, Math.floor(address / TWO_32), true);
}
