import type { GuestRegion } from '@ringwire/guest-memory';
import { DirtyLog } from '@ringwire/iommu';
import { close, signalEvent } from '@ringwire/linux';
import type { Mapping, PeerMemory } from '@ringwire/peer-memory';

const NONE = -1;

/** What a front-end shares to be told which pages of its memory the device wrote, while it migrates its guest. */
export class DirtyPages {
  /** LOG_ALL was accepted: what rings write counts, as far as there is a log. */
  enabled = false;
  /** What rings that are opened now log into; undefined: nothing is logged, and nothing is in their way. */
  log: DirtyLog | undefined;
  private readonly memory: PeerMemory;
  private area: { readonly mapping: Mapping; readonly bytes: number } | undefined;
  /** Signalled in turns in which pages were marked. */
  private event = NONE;
  private marksTold = 0;

  constructor(memory: PeerMemory) {
    this.memory = memory;
  }

  /** Keep another log: the one before is let go of. No ring runs. @param bytes a positive multiple of 4 */
  setArea(mapping: Mapping, bytes: number): void {
    this.letGo();
    this.area = { mapping, bytes };
  }

  /** Keep another event descriptor. */
  setEvent(fd: number): void {
    if (this.event !== NONE) close(this.event);
    this.event = fd;
  }

  /** No ring runs, and something of this or of the memory changed. @param regions where the guest's pages lie now */
  renew(regions: readonly GuestRegion[]): void {
    this.log = undefined;
    this.marksTold = 0;
    if (this.area === undefined || !this.enabled) return;
    const { mapping, bytes } = this.area;
    this.log = new DirtyLog({ memory: this.memory.memory, base: mapping.host, bytes, regions });
  }

  /** @returns why the front-end can't be told of all that was written */
  finishTurn(): string | undefined {
    const { log } = this;
    if (log === undefined || log.marks === this.marksTold) return undefined;
    this.marksTold = log.marks;
    if (this.event !== NONE) signalEvent(this.event);
    return log.beyond > 0 ? 'a page was written that is past the end of the log' : undefined;
  }

  /** Whether the file of the log was cut short. */
  wasCut(): boolean {
    return this.area !== undefined && this.memory.wasCut(this.area.mapping);
  }

  /** As before anything was set. No ring runs. */
  clear(): void {
    this.enabled = false;
    this.log = undefined;
    this.letGo();
    this.setEvent(NONE);
  }

  private letGo(): void {
    if (this.area !== undefined) this.memory.unmap(this.area.mapping);
    this.area = undefined;
  }
}
