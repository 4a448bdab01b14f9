import type { HostMemory, RangeList } from '@ringwire/guest-memory';
import { VIRTIO_NET_HDR, VIRTIO_NET_HDR_SIZE } from '@ringwire/virtio-spec/net';

const HDR = VIRTIO_NET_HDR;

/** One packet's struct virtio_net_hdr, copied out of the driver's memory once: it is checked and used from here. */
export class TxHeader {
  /** The header's first bytes as words; behind `headerBytes` lies nothing of this packet. */
  readonly words: Uint32Array = new Uint32Array(VIRTIO_NET_HDR_SIZE.OUT_NET_HEADER / 4);
  private readonly bytes = new Uint8Array(this.words.buffer);
  private readonly view = new DataView(this.words.buffer);

  /** @param headerBytes bytes of the header; the ranges from `first` on have as many */
  load(memory: HostMemory, ranges: RangeList, first: number, headerBytes: number): void {
    const { offset, length } = ranges;
    const at = offset[first]!;
    if ((at & 3) === 0 && length[first]! >= headerBytes && headerBytes === VIRTIO_NET_HDR_SIZE.V1) {
      const { u32 } = memory;
      const from = at >>> 2;
      this.words[0] = u32[from]!;
      this.words[1] = u32[from + 1]!;
      this.words[2] = u32[from + 2]!;
      return;
    }
    const { u8 } = memory;
    let done = 0;
    for (let range = first; done < headerBytes; range++) {
      const from = offset[range]!;
      const take = Math.min(length[range]!, headerBytes - done);
      for (let i = 0; i < take; i++) this.bytes[done++] = u8[from + i]!;
    }
  }

  get flags(): number {
    return this.bytes[HDR.flags]!;
  }

  get gsoType(): number {
    return this.bytes[HDR.gso_type]!;
  }

  get hdrLen(): number {
    return this.view.getUint16(HDR.hdr_len, true);
  }

  get gsoSize(): number {
    return this.view.getUint16(HDR.gso_size, true);
  }

  get csumStart(): number {
    return this.view.getUint16(HDR.csum_start, true);
  }

  get csumOffset(): number {
    return this.view.getUint16(HDR.csum_offset, true);
  }

  /** Of a header of at least 24 bytes. */
  get outerThOffset(): number {
    return this.view.getUint16(HDR.outer_th_offset, true);
  }

  get innerNhOffset(): number {
    return this.view.getUint16(HDR.inner_nh_offset, true);
  }
}
