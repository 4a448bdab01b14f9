import type { HostMemory } from '@ringwire/guest-memory';
import type { CablePlace } from '@ringwire/net-backend';
import type { SwitchOrder } from './switch-worker.js';

const CABLE_BYTES = 0x10_0000;
const CABLE_FRAMES = 512;

/** A switch in a worker of its own; other threads plug end 0 of its cables in. */
export class CableSwitch {
  readonly cables: readonly CablePlace[];
  private readonly words = new Int32Array(new SharedArrayBuffer(8));
  private readonly worker: Worker;

  /** @param at host offset of {@link bytes} bytes. @param workerUrl of `switch-worker.js` */
  constructor(memory: HostMemory, at: number, ports: number, workerUrl: URL) {
    this.cables = Array.from({ length: ports }, (_, index) => ({
      at: at + index * CABLE_BYTES,
      bytes: CABLE_BYTES,
      frames: CABLE_FRAMES,
    }));
    const order: SwitchOrder = { memory: memory.wasm!, cables: this.cables, counts: this.words };
    this.worker = new Worker(workerUrl, { type: 'module' });
    this.worker.postMessage(order);
  }

  /** Host memory that the cables of so many ports take. */
  static bytes(ports: number): number {
    return ports * CABLE_BYTES;
  }

  /** Frames that were sent to one port, and to all. */
  get counts(): { readonly forwarded: number; readonly flooded: number } {
    return { forwarded: this.words[0]!, flooded: this.words[1]! };
  }

  close(): void {
    this.worker.terminate();
  }
}
