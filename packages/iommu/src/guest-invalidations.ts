import type { InvalidationSink } from './translation.js';

/**
 * A guest's invalidations where its tables are nested over a domain of the host: caches know the whole translation by
 * that domain, whatever the guest calls its own. The guest can only make this one domain forget.
 */
export class GuestInvalidations implements InvalidationSink {
  private readonly sink: InvalidationSink;
  private readonly outer: number;

  /** @param outer id of the domain that the tables are nested over */
  constructor(sink: InvalidationSink, outer: number) {
    this.sink = sink;
    this.outer = outer;
  }

  all(): void {
    this.sink.domain(this.outer);
  }

  domain(_domain: number, keep = 0): void {
    this.sink.domain(this.outer, keep);
  }

  pages(_domain: number, address: number, mask: number, keep = 0): void {
    this.sink.pages(this.outer, address, mask, keep);
  }

  requester(): void {
    this.sink.domain(this.outer);
  }
}
