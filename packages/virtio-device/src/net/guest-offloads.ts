import { OFFLOAD } from '@ringwire/net-backend';
import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F, VIRTIO_NET_GUEST_OFFLOAD } from '@ringwire/virtio-spec/net';

const BIT = VIRTIO_NET_GUEST_OFFLOAD;
type GuestOffload = keyof typeof VIRTIO_NET_GUEST_OFFLOAD;

/** Bit of the offloads, what a frame may ask for with it, and the offloads that it means nothing without. */
const ROWS: readonly { name: GuestOffload; offload: number; needs: readonly GuestOffload[] }[] = [
  { name: 'CSUM', offload: OFFLOAD.CSUM, needs: [] },
  { name: 'TSO4', offload: OFFLOAD.TSO4, needs: ['CSUM'] },
  { name: 'TSO6', offload: OFFLOAD.TSO6, needs: ['CSUM'] },
  { name: 'ECN', offload: OFFLOAD.ECN, needs: ['CSUM'] },
  { name: 'UFO', offload: OFFLOAD.UFO, needs: ['CSUM'] },
  { name: 'USO4', offload: OFFLOAD.USO4, needs: ['CSUM'] },
  { name: 'USO6', offload: OFFLOAD.USO6, needs: ['CSUM'] },
  { name: 'UDP_TUNNEL_GSO', offload: OFFLOAD.TUNNEL, needs: ['CSUM'] },
  { name: 'UDP_TUNNEL_GSO_CSUM', offload: OFFLOAD.TUNNEL_CSUM, needs: ['CSUM', 'UDP_TUNNEL_GSO'] },
];

/**
 * virtio 1.4 §5.1.9.5.9: what the driver takes with received frames, as negotiated and as it turned on and off since. The
 * le64 of the command is two words here.
 */
export class GuestOffloads {
  /** `OFFLOAD` bits in force. */
  offloads = 0;
  /** The words in force. */
  low = 0;
  high = 0;
  private readonly negotiated: Uint32Array = new Uint32Array(2);

  start(features: Uint32Array): void {
    this.negotiated.set(negotiatedWords(features));
    this.apply(this.negotiated[0]!, this.negotiated[1]!);
  }

  /** @returns false, and nothing changes, for an offload that was not negotiated */
  set(low: number, high: number): boolean {
    if ((low & ~this.negotiated[0]!) !== 0 || (high & ~this.negotiated[1]!) !== 0) return false;
    this.apply(low, high);
    return true;
  }

  private apply(low: number, high: number): void {
    const isSet = (name: GuestOffload): boolean => (((BIT[name] < 32 ? low : high) >>> (BIT[name] & 31)) & 1) === 1;
    this.low = low;
    this.high = high;
    this.offloads = 0;
    for (const { name, offload, needs } of ROWS) if (isSet(name) && needs.every(isSet)) this.offloads |= offload;
  }
}

/** Whether the driver may have these offloads on, with these features negotiated. */
export function canOffload(low: number, high: number, features: Uint32Array): boolean {
  const [lowest, highest] = negotiatedWords(features);
  return (low & ~lowest) === 0 && (high & ~highest) === 0;
}

function negotiatedWords(features: Uint32Array): [low: number, high: number] {
  const words: [number, number] = [0, 0];
  for (const { name } of ROWS)
    if (hasFeature(features, VIRTIO_NET_F[`GUEST_${name}`])) words[BIT[name] < 32 ? 0 : 1] |= 1 << (BIT[name] & 31);
  return words;
}
