import {
  ADMIN_OP,
  P_MODE,
  P_VIRTIO_ACCEPT,
  P_VIRTIO_CONFIG,
  P_VIRTIO_GET_STATE,
  P_VIRTIO_POSITION,
  P_VIRTIO_QUEUE,
  P_VIRTIO_READY,
  P_VIRTIO_SET_STATE,
  P_VIRTIO_STATUS,
  R_IDENTIFY,
  R_VIRTIO_CONFIG,
  R_VIRTIO_FEATURES,
  R_VIRTIO_POSITION,
  R_VIRTIO_STATE,
  R_VIRTIO_STATUS,
  VB_MODE,
  VB_NO_VECTOR,
  VENDOR_B_BAR,
} from '@ringwire/nic-spec/vendor-b';
import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import type { PciAccess } from '../access.js';
import { type Breakdown, isBreakdown } from '../breakdown.js';
import { DmaArena } from '../dma-arena.js';
import type { DmaMemory } from '../dma-memory.js';
import { PATIENCE, type Patience } from '../patience.js';
import { disableMsix, enableMsix } from '../pci-msix.js';
import type { MsixMessage } from '../transport.js';
import { gatherParts, giveParts, type VdpaFacts, type VdpaRing } from '../vdpa-plane.js';
import { AdminChannel, resetVendorB } from './admin-channel.js';
import { bindVendorB, type VendorBRegisters } from './bind-vendor-b.js';

const TWO_32 = 0x1_0000_0000;
const WRAP = { AVAILABLE: 1, USED: 2 } as const;

/** What the control plane works with. */
export interface VdpaControlSetup {
  readonly access: PciAccess;
  /** Memory for commands. The function reaches it beside what the guest's rings lie in, so that addresses must not meet. */
  readonly dma: DmaMemory;
  /** Of vectors 0, events and configuration changes, and 1 on, for queues. */
  readonly messages?: readonly MsixMessage[];
  readonly patience?: Patience;
}

/**
 * Take a function into use for a guest that drives virtio: its data plane becomes virtio's.
 * @returns the control plane, or why not
 */
export function openVdpaControl(setup: VdpaControlSetup): VdpaControl | Breakdown {
  const registers = bindVendorB(setup.access);
  if (isBreakdown(registers)) return registers;
  const patience = setup.patience ?? PATIENCE;
  const problem = resetVendorB(registers, patience);
  if (problem !== undefined) return problem;
  const arena = new DmaArena(setup.dma);
  const admin = new AdminChannel(registers, arena, patience);
  const results = admin.require(ADMIN_OP.IDENTIFY);
  const facts = isBreakdown(results) ? results : factsIn(results);
  const mode = admin.require(ADMIN_OP.SET_MODE, (to) => to.setUint16(P_MODE.mode, VB_MODE.VIRTIO, true));
  if (isBreakdown(facts) || isBreakdown(mode)) {
    if (resetVendorB(registers, patience) === undefined) arena.free();
    return isBreakdown(facts) ? facts : (mode as Breakdown);
  }
  if (setup.messages !== undefined) enableMsix(setup.access, registers.msix, setup.messages);
  return new VdpaControl(registers, admin, arena, patience, facts);
}

function factsIn(results: DataView): VdpaFacts {
  const at = R_IDENTIFY;
  return {
    mac: Uint8Array.from({ length: 6 }, (_, byte) => results.getUint8(at.mac + byte)),
    configBytes: results.getUint16(at.configBytes, true),
    queues: results.getUint16(at.virtqueues, true),
    queueSizeMax: results.getUint16(at.virtqueueSize, true),
  };
}

/**
 * Vendor B's part of a vDPA device: what sets up, starts, suspends and reads a data plane that the guest drives itself. Each
 * call is a command; one that the function refuses comes back as a breakdown.
 */
export class VdpaControl {
  readonly facts: VdpaFacts;
  private readonly registers: VendorBRegisters;
  private readonly admin: AdminChannel;
  private readonly arena: DmaArena;
  private readonly patience: Patience;

  /** @see openVdpaControl */
  constructor(registers: VendorBRegisters, admin: AdminChannel, arena: DmaArena, patience: Patience, facts: VdpaFacts) {
    this.registers = registers;
    this.admin = admin;
    this.arena = arena;
    this.patience = patience;
    this.facts = facts;
  }

  /** Feature words 0–3 on offer. */
  features(): Uint32Array | Breakdown {
    const results = this.admin.require(ADMIN_OP.VIRTIO_FEATURES);
    if (isBreakdown(results)) return results;
    const at = R_VIRTIO_FEATURES.features;
    return Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => results.getUint32(at + 4 * word, true));
  }

  accept(features: Uint32Array): Breakdown | undefined {
    return this.run(ADMIN_OP.VIRTIO_ACCEPT, (to) => {
      for (const [word, bits] of features.entries()) to.setUint32(P_VIRTIO_ACCEPT.features + 4 * word, bits, true);
    });
  }

  /** The device status, virtio 1.4 §2.1. */
  status(): number | Breakdown {
    return this.statusCommand(0);
  }

  /** Write the device status; 0 resets the data plane. @returns what it reads now */
  setStatus(bits: number): number | Breakdown {
    return this.statusCommand(P_VIRTIO_STATUS.WRITE | (bits & 0xff));
  }

  /** @param length at most 56 @returns a copy of bytes of the device configuration, and their generation */
  readConfig(offset: number, length: number): { readonly bytes: Uint8Array; readonly generation: number } | Breakdown {
    const results = this.admin.require(ADMIN_OP.VIRTIO_CONFIG, (to) => {
      to.setUint16(P_VIRTIO_CONFIG.offset, offset, true);
      to.setUint16(P_VIRTIO_CONFIG.length, length, true);
    });
    if (isBreakdown(results)) return results;
    return {
      bytes: Uint8Array.from({ length }, (_, byte) => results.getUint8(R_VIRTIO_CONFIG.bytes + byte)),
      generation: results.getUint32(R_VIRTIO_CONFIG.generation, true),
    };
  }

  /** Say where a queue is; it is opened when it becomes ready. */
  setQueue(index: number, ring: VdpaRing): Breakdown | undefined {
    const at = P_VIRTIO_QUEUE;
    return this.run(ADMIN_OP.VIRTIO_SET_QUEUE, (to) => {
      to.setUint16(at.index, index, true);
      to.setUint16(at.size, ring.size, true);
      to.setUint16(at.vector, ring.vector ?? VB_NO_VECTOR, true);
      for (const [field, address] of [
        [at.desc, ring.desc],
        [at.driver, ring.driver],
        [at.device, ring.device],
      ] as const) {
        to.setUint32(field, address >>> 0, true);
        to.setUint32(field + 4, Math.floor(address / TWO_32), true);
      }
    });
  }

  /** Where a queue is to go on once it is ready. */
  setPosition(index: number, position: QueueState): Breakdown | undefined {
    const at = P_VIRTIO_POSITION;
    return this.run(ADMIN_OP.VIRTIO_SET_POSITION, (to) => {
      to.setUint16(at.index, index, true);
      to.setUint16(at.available, position.lastAvailIdx, true);
      to.setUint16(at.used, position.usedIdx, true);
      if (position.layout === 'split') return;
      const wraps = position.lastAvailWrapCounter * WRAP.AVAILABLE + position.usedWrapCounter * WRAP.USED;
      to.setUint16(at.wraps, wraps, true);
    });
  }

  /** Where the function stands in a queue: with the function suspended, or the queue not ready. */
  position(index: number): QueueState | Breakdown {
    const results = this.admin.require(ADMIN_OP.VIRTIO_GET_POSITION, (to) =>
      to.setUint16(P_VIRTIO_POSITION.index, index, true),
    );
    if (isBreakdown(results)) return results;
    const at = R_VIRTIO_POSITION;
    const lastAvailIdx = results.getUint16(at.available, true);
    const usedIdx = results.getUint16(at.used, true);
    if (results.getUint16(at.isPacked, true) === 0) return { layout: 'split', lastAvailIdx, usedIdx };
    const wraps = results.getUint16(at.wraps, true);
    return {
      layout: 'packed',
      lastAvailIdx,
      lastAvailWrapCounter: (wraps & WRAP.AVAILABLE) === 0 ? 0 : 1,
      usedIdx,
      usedWrapCounter: (wraps & WRAP.USED) === 0 ? 0 : 1,
    };
  }

  /** Start or stop a queue. */
  setReady(index: number, ready: boolean): Breakdown | undefined {
    return this.run(ADMIN_OP.VIRTIO_SET_READY, (to) => {
      to.setUint16(P_VIRTIO_READY.index, index, true);
      to.setUint16(P_VIRTIO_READY.ready, ready ? 1 : 0, true);
    });
  }

  /** Touch no ring any more; what was taken is used first. */
  suspend(): Breakdown | undefined {
    return this.run(ADMIN_OP.SUSPEND);
  }

  resume(): Breakdown | undefined {
    return this.run(ADMIN_OP.RESUME);
  }

  /** What commands of the control queue made of the device, as device parts (virtio 1.4 §2.14). The function is suspended. */
  typeState(): Uint8Array | Breakdown {
    const { total, bytes, BYTES_MAX } = R_VIRTIO_STATE;
    return gatherParts(P_VIRTIO_SET_STATE.TOTAL_MAX, (at) => {
      const results = this.admin.require(ADMIN_OP.VIRTIO_GET_STATE, (to) =>
        to.setUint32(P_VIRTIO_GET_STATE.offset, at, true),
      );
      if (isBreakdown(results)) return results;
      return {
        total: results.getUint32(total, true),
        bytes: Uint8Array.from({ length: BYTES_MAX }, (_, byte) => results.getUint8(bytes + byte)),
      };
    });
  }

  /** Have such parts in force when the device starts; between FEATURES_OK and DRIVER_OK. */
  setTypeState(parts: Uint8Array): Breakdown | undefined {
    const { BYTES_MAX, TOTAL_MAX, offset, total, bytes } = P_VIRTIO_SET_STATE;
    return giveParts(parts, TOTAL_MAX, BYTES_MAX, (at, piece) =>
      this.run(ADMIN_OP.VIRTIO_SET_STATE, (to) => {
        to.setUint32(offset, at, true);
        to.setUint32(total, parts.length, true);
        for (const [byte, value] of piece.entries()) to.setUint8(bytes + byte, value);
      }),
    );
  }

  /** The doorbell of a queue: the start of its page, which the guest may be given. */
  kick(index: number): void {
    this.registers.access.barWrite(0, doorbellPage(index), 2, index);
  }

  /** Give the function back. @returns why it did not reset: its memory is kept then */
  close(): Breakdown | undefined {
    disableMsix(this.registers.access, this.registers.msix);
    const problem = resetVendorB(this.registers, this.patience);
    if (problem === undefined) this.arena.free();
    return problem;
  }

  private statusCommand(value: number): number | Breakdown {
    const results = this.admin.require(ADMIN_OP.VIRTIO_STATUS, (to) =>
      to.setUint16(P_VIRTIO_STATUS.value, value, true),
    );
    return isBreakdown(results) ? results : results.getUint16(R_VIRTIO_STATUS.status, true);
  }

  private run(opcode: number, fill?: (to: DataView) => void): Breakdown | undefined {
    const results = this.admin.require(opcode, fill);
    return isBreakdown(results) ? results : undefined;
  }
}

/** Offset in BAR 0 of the page that has the doorbell of a virtqueue. */
export const doorbellPage = (index: number): number => VENDOR_B_BAR.DOORBELLS + index * VENDOR_B_BAR.DOORBELL_PAGE;
