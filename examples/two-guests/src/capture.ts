import { HostMemory, RangeList } from '@ringwire/guest-memory';
import { Frame, PCAPNG_DIRECTION, PcapngWriter } from '@ringwire/net-backend';
import type { SetResult } from './run-set.js';

const LONGEST = 0x800;

/** Frames of both guests as a pcapng file, with an interface for each guest and set of features. */
export class Capture {
  readonly writer: PcapngWriter;
  private readonly frame: Frame;
  /** ms since 1970. */
  private now = 0;

  /** @param output takes the bytes of the file, in their order */
  constructor(output: (bytes: Uint8Array) => void) {
    this.writer = new PcapngWriter(output, { clock: () => this.now * 1000 });
    this.frame = new Frame(HostMemory.wrap(new ArrayBuffer(LONGEST)));
    this.frame.ranges = new RangeList(1);
    this.frame.ranges.push(0, 0);
    this.frame.end = 1;
  }

  /** What was sent with one set of features, in the order of time. */
  add(name: string, sent: SetResult['sent']): void {
    const { frame, writer } = this;
    const all = sent.flatMap((frames, guest) => {
      const port = writer.addInterface(`${name}: ${guest === 0 ? 'first' : 'second'}`);
      return frames.map(({ at, bytes }) => ({ at, bytes, port }));
    });
    for (const { at, bytes, port } of all.sort((a, b) => a.at - b.at)) {
      this.now = at;
      frame.memory.u8.set(bytes);
      frame.ranges.length[0] = bytes.length;
      frame.length = bytes.length;
      writer.write(port, frame, PCAPNG_DIRECTION.OUTBOUND);
    }
  }
}
