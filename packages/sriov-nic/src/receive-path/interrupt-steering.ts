import { VirtioError } from '@ringwire/virtio-spec';
import type { MessageRouter } from '../message-router.js';
import type { ReceiveTrace } from './receive-trace.js';

const HERE = 'InterruptSteering';
/** MSI address, physical destination mode: Intel SDM vol. 3, §11.11.1. Bits 19:12 are the APIC id. */
const DESTINATION_SHIFT = 12;
const DESTINATION_MASK = 0xff;
const VECTORS = 0x800;

/** How one vector of a function is delivered. */
interface Steered {
  readonly core: number;
  /** Straight to the guest that runs on the core. */
  readonly isPosted: boolean;
}

/** One line of the interrupt matrix. */
export interface SteeringRow {
  readonly requesterId: number;
  readonly vector: number;
  /** Messages by core. */
  readonly messages: readonly number[];
  /** Those of them that reached another core than the one that their work is for. */
  readonly wrongCore: number;
  /** Those that reached a guest without its host. */
  readonly posted: number;
}

interface Counted {
  readonly requesterId: number;
  readonly vector: number;
  readonly messages: number[];
  wrongCore: number;
  posted: number;
}

/** The address and data of a message that interrupts a core, as a driver writes them into its MSI-X table. */
export function messageTo(core: number, data: number): { addressLo: number; addressHi: number; data: number } {
  return { addressLo: (0xfee0_0000 | ((core & DESTINATION_MASK) << DESTINATION_SHIFT)) >>> 0, addressHi: 0, data };
}

/**
 * Which core each message interrupts. A vector goes where its own address says, unless the host's table of remapped
 * interrupts ({@link steer}, {@link post}) says otherwise. Messages go on to the {@link MessageRouter} afterwards.
 */
export class InterruptSteering {
  readonly cores: number;
  private readonly router: MessageRouter;
  private readonly trace: ReceiveTrace | undefined;
  private readonly table: Map<number, Steered> = new Map();
  /** The core that a function's work is for. */
  private readonly homes: Map<number, number> = new Map();
  private readonly rows: Map<number, Counted> = new Map();

  /** @param cores 1 to 256 */
  constructor(cores: number, router: MessageRouter, trace?: ReceiveTrace) {
    if (!Number.isInteger(cores) || cores < 1 || cores > DESTINATION_MASK + 1)
      throw new VirtioError('cores', cores, `1 to ${DESTINATION_MASK + 1}`, HERE);
    this.cores = cores;
    this.router = router;
    this.trace = trace;
  }

  /** A vector of a function interrupts this core, whatever its address says. @throws VirtioError for a core that there is not */
  steer(requesterId: number, vector: number, core: number): void {
    this.table.set(this.checked(requesterId, vector, core), { core, isPosted: false });
  }

  /** A vector of a function goes straight to the guest that runs on this core (posted interrupts). */
  post(requesterId: number, vector: number, core: number): void {
    this.table.set(this.checked(requesterId, vector, core), { core, isPosted: true });
  }

  /** Back to what the message's address says. */
  release(requesterId: number, vector: number): void {
    this.table.delete(keyOf(requesterId, vector));
  }

  /** Where the work of a function's messages is done: messages that reach another core are counted as such. */
  home(requesterId: number, core: number): void {
    this.checked(requesterId, 0, core);
    this.homes.set(requesterId, core);
  }

  isPosted(requesterId: number, vector: number): boolean {
    return this.table.get(keyOf(requesterId, vector))?.isPosted === true;
  }

  /** The core that a message interrupts: foreign addresses reach one of those that there are. */
  coreOf(requesterId: number, vector: number, addressLow: number): number {
    const steered = this.table.get(keyOf(requesterId, vector));
    return steered?.core ?? ((addressLow >>> DESTINATION_SHIFT) & DESTINATION_MASK) % this.cores;
  }

  /** For `SriovNicOptions.sendMessage`. */
  deliver(requesterId: number, low: number, high: number, data: number, vector: number): void {
    const core = this.coreOf(requesterId, vector, low);
    const isPosted = this.isPosted(requesterId, vector);
    const row = this.rowOf(requesterId, vector);
    row.messages[core]!++;
    if (isPosted) row.posted++;
    const home = this.homes.get(requesterId);
    if (home !== undefined && home !== core) row.wrongCore++;
    if (isPosted) this.trace?.postedInterrupt(requesterId, vector, core);
    else this.trace?.physicalInterrupt(requesterId, vector, core);
    this.router.deliver(requesterId, low, high, data, vector);
  }

  /** Vectors that sent messages, by function and vector: the interrupt matrix. */
  report(): SteeringRow[] {
    const rows = [...this.rows.values()].map((row) => ({ ...row, messages: [...row.messages] }));
    return rows.sort((a, b) => a.requesterId - b.requesterId || a.vector - b.vector);
  }

  private rowOf(requesterId: number, vector: number): Counted {
    const key = keyOf(requesterId, vector);
    const known = this.rows.get(key);
    if (known !== undefined) return known;
    const row = { requesterId, vector, messages: new Array<number>(this.cores).fill(0), wrongCore: 0, posted: 0 };
    this.rows.set(key, row);
    return row;
  }

  private checked(requesterId: number, vector: number, core: number): number {
    if (!Number.isInteger(core) || core < 0 || core >= this.cores)
      throw new VirtioError('core', core, `0 to ${this.cores - 1}`, HERE);
    if (!Number.isInteger(vector) || vector < 0 || vector >= VECTORS)
      throw new VirtioError('vector', vector, `0 to ${VECTORS - 1}`, HERE);
    return keyOf(requesterId, vector);
  }
}

const keyOf = (requesterId: number, vector: number): number => requesterId * VECTORS + vector;
