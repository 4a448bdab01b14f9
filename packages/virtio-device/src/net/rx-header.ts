import type { HostMemory } from '@ringwire/guest-memory';
import type { Frame } from '@ringwire/net-backend';
import { VIRTIO_NET_HDR, VIRTIO_NET_HDR_GSO, VIRTIO_NET_HDR_SIZE } from '@ringwire/virtio-spec/net';

const HDR = VIRTIO_NET_HDR;
const { V1, HASH_REPORT, UDP_TUNNEL } = VIRTIO_NET_HDR_SIZE;
const TUNNEL = VIRTIO_NET_HDR_GSO.UDP_TUNNEL_IPV4 | VIRTIO_NET_HDR_GSO.UDP_TUNNEL_IPV6;

/** The struct virtio_net_hdr that goes before a received frame. */
export class RxHeader {
  private readonly words = new Uint32Array(VIRTIO_NET_HDR_SIZE.OUT_NET_HEADER / 4);
  private readonly bytes = new Uint8Array(this.words.buffer);
  private readonly view = new DataView(this.words.buffer);

  /**
   * @param headerBytes bytes that the driver expects
   * @param buffers how many buffers the frame takes
   * @param flags what of the frame's flags the driver negotiated
   */
  fill(frame: Frame, headerBytes: number, buffers: number, flags: number, hashValue: number, hashReport: number): void {
    const { words, view } = this;
    words[0] = flags | (frame.gsoType << 8) | (frame.hdrLen << 16);
    words[1] = frame.gsoSize | (frame.csumStart << 16);
    words[2] = frame.csumOffset | (buffers << 16);
    if (headerBytes === V1) return;
    // A field keeps its place whatever is negotiated: what nobody negotiated lies in the header as zeros.
    words.fill(0, V1 / 4);
    if (headerBytes >= HASH_REPORT) {
      view.setUint32(HDR.hash_value, hashValue, true);
      view.setUint16(HDR.hash_report, hashReport, true);
    }
    if (headerBytes >= UDP_TUNNEL && (frame.gsoType & TUNNEL) !== 0) {
      view.setUint16(HDR.outer_th_offset, frame.outerThOffset, true);
      view.setUint16(HDR.inner_nh_offset, frame.innerNhOffset, true);
    }
  }

  /** Write `length` bytes of the header from byte `from` on to a host offset. */
  write(memory: HostMemory, to: number, from: number, length: number): void {
    if ((to & 3) === 0 && from === 0 && length === V1) {
      const { u32 } = memory;
      const at = to >>> 2;
      u32[at] = this.words[0]!;
      u32[at + 1] = this.words[1]!;
      u32[at + 2] = this.words[2]!;
      return;
    }
    const { u8 } = memory;
    for (let i = 0; i < length; i++) u8[to + i] = this.bytes[from + i]!;
  }
}
