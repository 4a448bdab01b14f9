import { ACCESS, type AddressSpace, RangeList } from '@ringwire/guest-memory';
import { isRange, MAPPINGS_MAX } from './asid-space.js';
import { MappingList } from './mapping-list.js';
import type { VdpaDevice, VdpaMapping } from './vdpa-device.js';
import { VDPA, type VdpaOutcome } from './vdpa-outcome.js';

/** Rights of a mapping: VHOST_ACCESS_RO, _WO, _RW. */
const RIGHTS: ReadonlySet<number> = new Set([ACCESS.READ, ACCESS.WRITE, ACCESS.READ | ACCESS.WRITE]);
/** Longer ranges are looked up in pieces: lengths of an address space are 32 bits. */
const PIECE_BYTES = 0x4000_0000;

interface Batch {
  readonly asid: number;
  readonly list: MappingList;
}

/**
 * The IOTLB messages of vhost for one device: addresses of the process that owns it become mappings of the device. A process
 * maps what is its own, with rights that it has, and nothing else.
 */
export class VhostIotlb {
  private readonly device: VdpaDevice;
  private readonly process: AddressSpace;
  private batch: Batch | undefined = undefined;
  private isClosed = false;

  constructor(device: VdpaDevice, process: AddressSpace) {
    this.device = device;
    this.process = process;
  }

  /** The process does not own the device any more. */
  close(): void {
    this.isClosed = true;
  }

  /**
   * VHOST_IOTLB_UPDATE.
   * @param uaddr address of the process
   * @param access VHOST_ACCESS_RO 1, _WO 2 or _RW 3
   */
  update(asid: number, iova: number, bytes: number, uaddr: number, access: number): VdpaOutcome {
    if (this.isClosed) return VDPA.NOT_OWNER;
    if (!this.accepts(asid) || !this.isInRange(iova, bytes) || !RIGHTS.has(access)) return VDPA.INVALID;
    const pieces = this.piecesOf(iova, bytes, uaddr, access);
    if (pieces === undefined) return VDPA.NOT_MEMORY;
    return this.batch === undefined ? this.mapAll(asid, pieces) : addAll(this.batch.list, pieces);
  }

  /** VHOST_IOTLB_INVALIDATE: exactly this range. When it returns outside a batch, the device does not reach it any more. */
  invalidate(asid: number, iova: number, bytes: number): VdpaOutcome {
    if (this.isClosed) return VDPA.NOT_OWNER;
    if (!this.accepts(asid) || !this.isInRange(iova, bytes)) return VDPA.INVALID;
    if (this.batch === undefined) return this.device.unmap(asid, iova, bytes);
    this.batch.list.cut(iova, bytes);
    return VDPA.OK;
  }

  /** VHOST_IOTLB_BATCH_BEGIN: what follows takes effect together. */
  batchBegin(asid: number): VdpaOutcome {
    if (this.isClosed) return VDPA.NOT_OWNER;
    if (!this.isThere(asid)) return VDPA.INVALID;
    if (this.batch !== undefined) return VDPA.BUSY;
    const list = new MappingList();
    for (const mapping of this.device.mappings(asid)) list.add(mapping);
    this.batch = { asid, list };
    return VDPA.OK;
  }

  /** VHOST_IOTLB_BATCH_END: all of the batch, or on an outcome but OK nothing of it. */
  batchEnd(asid: number): VdpaOutcome {
    if (this.isClosed) return VDPA.NOT_OWNER;
    const { batch } = this;
    if (batch === undefined || batch.asid !== asid) return VDPA.INVALID;
    this.batch = undefined;
    return this.device.setMap(asid, batch.list.all);
  }

  private accepts(asid: number): boolean {
    return this.isThere(asid) && (this.batch === undefined || this.batch.asid === asid);
  }

  private isThere(asid: number): boolean {
    return Number.isInteger(asid) && asid >= 0 && asid < this.device.spaceCount;
  }

  private isInRange(iova: number, bytes: number): boolean {
    const { first, last } = this.device.iovaRange;
    return isRange(iova, bytes, this.device.mapGranule) && iova >= first && iova + bytes - 1 <= last;
  }

  /** The process's bytes as mappings, or undefined when they are not all its own. */
  private piecesOf(iova: number, bytes: number, uaddr: number, access: number): VdpaMapping[] | undefined {
    const ranges = new RangeList();
    for (let done = 0; done < bytes; done += PIECE_BYTES) {
      const piece = Math.min(PIECE_BYTES, bytes - done);
      if (!this.process.resolveRanges(uaddr + done, piece, access, ranges) || ranges.count > MAPPINGS_MAX)
        return undefined;
    }
    const pieces: VdpaMapping[] = [];
    let at = iova;
    for (let range = 0; range < ranges.count; range++) {
      const host = ranges.offset[range]!;
      const length = ranges.length[range]!;
      const last = pieces.at(-1);
      if (last !== undefined && last.host + last.bytes === host)
        pieces[pieces.length - 1] = { ...last, bytes: last.bytes + length };
      else pieces.push({ iova: at, bytes: length, host, access });
      at += length;
    }
    return pieces;
  }

  private mapAll(asid: number, pieces: readonly VdpaMapping[]): VdpaOutcome {
    for (const [at, piece] of pieces.entries()) {
      const outcome = this.device.map(asid, piece);
      if (outcome === VDPA.OK) continue;
      for (const { iova, bytes } of pieces.slice(0, at)) this.device.unmap(asid, iova, bytes);
      return outcome;
    }
    return VDPA.OK;
  }
}

function addAll(list: MappingList, pieces: readonly VdpaMapping[]): VdpaOutcome {
  if (pieces.some(({ iova, bytes }) => list.overlaps(iova, bytes))) return VDPA.EXISTS;
  if (list.all.length + pieces.length > MAPPINGS_MAX) return VDPA.NO_ROOM;
  for (const piece of pieces) list.add(piece);
  return VDPA.OK;
}
