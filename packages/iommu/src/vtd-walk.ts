import type { AddressSpace } from '@ringwire/guest-memory';
import type { VtdCaches } from './vtd-caches.js';
import type { VtdCapabilities } from './vtd-capabilities.js';
import type { VtdContext } from './vtd-context-cache.js';
import { VTD_KIND, VtdContextWalk, type VtdKind } from './vtd-context-walk.js';
import { VtdPaging, WALK } from './vtd-paging.js';
import { legacyReason, VTD_FAULT } from './vtd-reasons.js';
import { VTD_TTM } from './vtd-registers.js';
import type { VtdTrace } from './vtd-table-reader.js';
import { isInterruptAddress } from './vtd-tables.js';

const F = VTD_FAULT;
/** Walks of one request while software keeps changing the entries whose bits are to be set. */
const TRIES = 4;
/**
 * The way of one request through root, context, PASID and paging tables (VT-d 4.0 §3.4). It records nothing and knows no
 * registers but the root table's address; its fields hold what the request met, until the next one.
 */
export class VtdWalk extends VtdContextWalk {
  readonly paging: VtdPaging;

  private readonly caches: VtdCaches | undefined;

  /**
   * @param physical  the space that the tables' addresses are of
   * @param hostWidth bits of a physical address, 32 to 52
   * @param caches    remember what walks found; each walk is of the tables as they are now without
   */
  constructor(physical: AddressSpace, capabilities: VtdCapabilities, hostWidth: number, caches?: VtdCaches) {
    super(physical, capabilities, hostWidth);
    this.paging = new VtdPaging(this.reader, this.reserved, capabilities, caches);
    this.caches = caches;
  }

  /** A second walk of the same tables that sets no accessed or dirty bits and tells `trace` what it reads. */
  spectator(physical: AddressSpace, hostWidth: number, trace: VtdTrace | undefined): VtdWalk {
    const walk = new VtdWalk(physical, this.capabilities, hostWidth);
    walk.root = this.root;
    walk.mode = this.mode;
    walk.reader.readOnly = true;
    walk.reader.trace = trace;
    return walk;
  }

  /**
   * Find where an address of a requester leads; `paging` has the result, unless `kind` says PASS_THROUGH.
   * @returns WALK.OK or a code of VTD_FAULT
   */
  walk(sourceId: number, pasid: number, address: number, access: number): number {
    const { caches } = this;
    if (caches === undefined) return this.walkTables(sourceId, pasid, address, access);
    const known = caches.contexts.find(sourceId, pasid);
    if (known === undefined) caches.contextMisses++;
    else {
      caches.contextHits++;
      if (this.walkFrom(known, address, access) === WALK.OK) return WALK.OK;
      caches.repeated++;
    }
    return this.walkTables(sourceId, pasid, address, access);
  }

  /** What a requester's tables say, cached or not: the fields, or a code of VTD_FAULT. */
  find(sourceId: number, pasid: number): number {
    const known = this.caches?.contexts.find(sourceId, pasid);
    if (known === undefined) return this.locate(sourceId, pasid);
    if (this.adopted !== known) this.adopt(known);
    return WALK.OK;
  }

  /** Begin with what is cached. A fault may be one of the past: only the tables themselves decide on one. */
  private walkFrom(known: VtdContext, address: number, access: number): number {
    if (this.adopted !== known) this.adopt(known);
    this.paging.shortened = true;
    const reason = this.translate(address, access);
    this.paging.shortened = false;
    return reason;
  }

  private adopt(known: VtdContext): void {
    this.faultsDisabled = false;
    this.pasid = known.givenPasid;
    this.domain = known.domain;
    this.kind = known.kind as VtdKind;
    this.deviceTlb = known.deviceTlb;
    this.firstStage = known.firstStage;
    this.secondStage = known.secondStage;
    this.adopted = known;
  }

  private walkTables(sourceId: number, pasid: number, address: number, access: number): number {
    for (let tries = 0; tries < TRIES; tries++) {
      let reason = this.locate(sourceId, pasid);
      if (reason !== WALK.OK) return reason;
      if (this.caches !== undefined) this.remember(this.caches, sourceId, pasid);
      reason = this.translate(address, access);
      if (reason === WALK.RESTART) continue;
      return this.mode === VTD_TTM.LEGACY && reason !== WALK.OK ? legacyReason(reason, access) : reason;
    }
    return this.kind === VTD_KIND.SECOND_STAGE ? F.SS_ACCESS : F.FS_BIT_UPDATE;
  }

  private remember(caches: VtdCaches, sourceId: number, pasid: number): void {
    const { located } = this;
    located.sourceId = sourceId;
    located.pasid = pasid;
    located.givenPasid = this.pasid;
    located.domain = this.domain;
    located.kind = this.kind;
    located.deviceTlb = this.deviceTlb;
    caches.contexts.insert(located);
  }

  private translate(address: number, access: number): number {
    let reason: number = WALK.OK;
    switch (this.kind) {
      case VTD_KIND.SECOND_STAGE:
        reason = this.paging.second(this.secondStage, address, access);
        break;
      case VTD_KIND.FIRST_STAGE:
        reason = this.paging.first(this.firstStage, undefined, address, access);
        break;
      case VTD_KIND.NESTED:
        reason = this.paging.first(this.firstStage, this.secondStage, address, access);
        break;
      default:
        // Only a request with PASID comes here with an address in the interrupt range.
        if (!(address >= 0 && address < 2 ** 53)) return F.SM_ADDRESS_WIDTH;
        return isInterruptAddress(address) ? F.SM_INTERRUPT_RANGE : WALK.OK;
    }
    if (reason !== WALK.OK) return reason;
    return isInterruptAddress(this.paging.physical) ? F.SM_INTERRUPT_RANGE : WALK.OK;
  }
}
