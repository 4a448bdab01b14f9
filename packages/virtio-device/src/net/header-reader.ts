import type { Frame } from '@ringwire/net-backend';
import { FrameHeaders, HEADER_BYTES, parseFrame } from '@ringwire/net-offload';
import { peekFrame } from './frame-bytes.js';

/** Finds the headers of one frame after the other. */
export class HeaderReader {
  readonly headers: FrameHeaders = new FrameHeaders();
  /** What the headers were read from: `base` is where the frame's first byte lies in `u8`. */
  u8: Uint8Array;
  base = 0;
  private readonly copy: Uint8Array = new Uint8Array(HEADER_BYTES);

  constructor() {
    this.u8 = this.copy;
  }

  /** Bytes are copied first: a driver may change them while they are looked at. */
  read(frame: Frame): void {
    const bytes = peekFrame(frame, this.copy, HEADER_BYTES);
    this.u8 = this.copy;
    this.base = 0;
    parseFrame(this.copy, 0, bytes, this.headers);
  }
}
