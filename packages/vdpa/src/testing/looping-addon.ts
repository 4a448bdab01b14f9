import { RangeList } from '@ringwire/guest-memory';
import { DELIVERED, type Delivered, Frame, frameBytes } from '@ringwire/net-backend';
import { ihvParent } from '../ihv-parent.js';
import type { IhvPlugin } from '../ihv-plugin.js';
import type { VdpaHost, VdpaParent } from '../vdpa-parent.js';

const FRAMES_MAX = 64;
const FRAME_BYTES = 2048;

/** A vendor's card whose cable comes back to it. */
export class LoopingCard implements IhvPlugin {
  /** Calls, in their order. */
  readonly calls: string[] = [];
  private readonly fifo: Uint8Array[] = [];
  private readonly host: VdpaHost;
  private readonly at: number;
  private readonly frame: Frame;
  private raise: (() => void) | undefined = undefined;

  constructor(host: VdpaHost) {
    this.host = host;
    this.at = host.pages.allocate(FRAME_BYTES);
    this.frame = new Frame(host.memory);
    this.frame.ranges = new RangeList(1);
  }

  tx(frame: Frame): Delivered {
    if (this.fifo.length >= FRAMES_MAX) return DELIVERED.FULL;
    this.fifo.push(frameBytes(frame));
    this.raise?.();
    return DELIVERED.ACCEPTED;
  }

  rx(deliver: (frame: Frame) => Delivered, budget: number): number {
    let done = 0;
    for (; done < budget && this.fifo.length > 0; done++) {
      const bytes = this.fifo[0]!;
      this.host.memory.u8.set(bytes, this.at);
      this.frame.ranges.clear();
      this.frame.ranges.push(this.at, bytes.length);
      this.frame.end = 1;
      this.frame.length = bytes.length;
      if (deliver(this.frame) === DELIVERED.FULL) break;
      this.fifo.shift();
    }
    return done;
  }

  interrupt(raise: (() => void) | undefined): void {
    this.raise = raise;
    this.calls.push(raise === undefined ? 'no interrupts' : 'interrupts');
    if (raise === undefined) this.host.pages.free(this.at);
  }

  quiesce(): void {
    this.calls.push('quiesce');
  }

  restart(): void {
    this.calls.push('restart');
    if (this.fifo.length > 0) this.raise?.();
  }
}

/** What a vendor's module exports. */
export function openParent(host: VdpaHost): VdpaParent {
  return ihvParent(
    host,
    { name: 'pci/0000:65:00.0', vendorId: 0x1d0f, device: { holdWhenFull: true } },
    () => new LoopingCard(host),
  );
}
