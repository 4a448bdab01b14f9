import type { HostMemory } from '@ringwire/guest-memory';
import { GuestPages } from '../migration/guest-pages.js';

const POISON = 0xa5;

/** Pages that are filled in one place, and mapped for devices in another. */
class LandingPages extends GuestPages {
  private readonly shift: number;

  constructor(memory: HostMemory, gpa: number, size: number, fill: number, mapped: number) {
    super(memory, [{ gpa, size, host: fill }]);
    this.shift = mapped - fill;
  }

  override hostAt(gpa: number, bytes: number): number {
    const host = super.hostAt(gpa, bytes);
    return host < 0 ? host : host + this.shift;
  }
}

/**
 * RAM of a guest whose drivers are objects of this process, and so stay where their memory is: what a move brings is put aside, and
 * takes the place of the RAM, of which nothing is left, when the guest starts at its target. A page that the move forgot is one of
 * poison or of old bytes then.
 */
export class MovingRam {
  /** The guest's memory as its source has it. */
  readonly source: GuestPages;
  /** The same for a target. */
  readonly target: GuestPages;
  private readonly memory: HostMemory;
  private readonly host: number;
  private readonly spare: number;
  private readonly bytes: number;

  /** @param host,spare host offsets of so many bytes each, multiples of 4096 @param gpa where the guest has them */
  constructor(memory: HostMemory, host: number, spare: number, bytes: number, gpa = 0) {
    this.memory = memory;
    this.host = host;
    this.spare = spare;
    this.bytes = bytes;
    this.source = new GuestPages(memory, [{ gpa, size: bytes, host }]);
    this.target = new LandingPages(memory, gpa, bytes, spare, host);
  }

  /** The guest starts at the target: it has what was brought, and nothing else. */
  land(): void {
    const { engine } = this.memory;
    engine.fill(this.host, POISON, this.bytes);
    engine.copy(this.host, this.spare, this.bytes);
    engine.fill(this.spare, POISON, this.bytes);
  }
}
