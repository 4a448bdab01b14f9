import type { PeerMemory } from '@ringwire/peer-memory';
import { takeEventFile } from './event-file.js';
import type { MemoryTable } from './memory-table.js';
import { LOG, u64 } from './messages.js';
import type { Outcome } from './outcome.js';
import type { VhostPort } from './vhost-port.js';

/** Bytes of guest memory that 32 bits of the log stand for: it is written by the word. */
const WORD_COVERS = 32 * 4096;

/** What a front-end asks about the log of pages that the device wrote. */
export class LogRequests {
  private readonly port: VhostPort;
  private readonly table: MemoryTable;
  private readonly memory: PeerMemory;

  constructor(port: VhostPort, table: MemoryTable, memory: PeerMemory) {
    this.port = port;
    this.table = table;
    this.memory = memory;
  }

  /** LOG_ALL as accepted. It may change while rings run: what they write from then on counts. */
  enable(enabled: boolean): Outcome {
    const { dirty } = this.port;
    if (enabled === dirty.enabled) return undefined;
    return this.port.withoutRings(() => {
      dirty.enabled = enabled;
      return undefined;
    });
  }

  /** Refused, it leaves the log before as it was. There may be none yet when LOG_ALL is accepted: front-ends differ. */
  setBase(payload: DataView, fds: number[]): Outcome {
    const size = payload.getBigUint64(LOG.size, true);
    const offset = payload.getBigUint64(LOG.offset, true);
    if (fds.length !== 1) return 'a log without a descriptor';
    if (size + offset > 2n ** 53n) return `a log of ${size} bytes from ${offset} on`;
    if (offset % 4n !== 0n) return `a log from ${offset} on, want a multiple of 4`;
    const bytes = Number(size - (size % 4n));
    const needed = 4 * Math.max(1, Math.ceil(this.table.end / WORD_COVERS));
    if (bytes < needed) return `a log of ${size} bytes, want ${needed} for all memory`;
    const mapping = this.memory.map(fds[0]!, Number(offset), bytes);
    if (typeof mapping === 'string') return mapping;
    const problem = this.port.withoutRings(() => {
      this.port.dirty.setArea(mapping, bytes);
      return undefined;
    });
    // The protocol wants an answer, and says nothing of what is in it.
    return problem ?? u64(0n);
  }

  setEvent(fds: number[]): Outcome {
    const event = takeEventFile('log', fds);
    if (typeof event === 'string') return event;
    this.port.dirty.setEvent(event);
    return undefined;
  }
}
