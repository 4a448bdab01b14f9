import { hasFeature } from '@ringwire/virtio-spec';
import { type NetConfigField, VIRTIO_NET_CONFIG, VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { Breakdown } from './breakdown.js';
import type { Transport } from './transport.js';
import type { VirtioDriver } from './virtio-driver.js';

/** What a network device's configuration says; a field that does not exist is 0. Nothing is checked yet. */
export interface NetFacts {
  readonly mac: Uint8Array;
  readonly status: number;
  readonly max_virtqueue_pairs: number;
  readonly mtu: number;
  readonly speed: number;
  readonly duplex: number;
  readonly rss_max_key_size: number;
  readonly rss_max_indirection_table_length: number;
  readonly supported_hash_types: number;
  readonly supported_tunnel_types: number;
}

const MAC_BYTES = 6;

/** Whether a field exists: some feature that brings it is offered. `mac` means something with MAC only. */
function exists(field: NetConfigField, offered: Uint32Array): boolean {
  if (field === 'mac') return hasFeature(offered, VIRTIO_NET_F.MAC);
  return VIRTIO_NET_CONFIG[field].features.some((name) => hasFeature(offered, VIRTIO_NET_F[name]));
}

/**
 * Read all fields that exist, of one generation.
 * @param offered feature words that the device offers
 * @see virtio 1.4 §5.1.4, §2.5.1
 */
export function readNetFacts(driver: VirtioDriver, offered: Uint32Array): NetFacts | Breakdown {
  const fields = (Object.keys(VIRTIO_NET_CONFIG) as NetConfigField[]).filter((field) => exists(field, offered));
  const bytes = Math.max(0, ...fields.map((field) => VIRTIO_NET_CONFIG[field].at + VIRTIO_NET_CONFIG[field].bytes));
  return driver.readConfig(bytes, (transport) => {
    const read = (field: NetConfigField): number => (fields.includes(field) ? readField(transport, field) : 0);
    const mac = new Uint8Array(MAC_BYTES);
    if (fields.includes('mac')) for (let i = 0; i < MAC_BYTES; i++) mac[i] = transport.readConfig(i, 1);
    return {
      mac,
      status: read('status'),
      max_virtqueue_pairs: read('max_virtqueue_pairs'),
      mtu: read('mtu'),
      speed: read('speed'),
      duplex: read('duplex'),
      rss_max_key_size: read('rss_max_key_size'),
      rss_max_indirection_table_length: read('rss_max_indirection_table_length'),
      supported_hash_types: read('supported_hash_types'),
      supported_tunnel_types: read('supported_tunnel_types'),
    };
  });
}

function readField(transport: Transport, field: NetConfigField): number {
  const { at, bytes } = VIRTIO_NET_CONFIG[field];
  return bytes === 6 ? 0 : transport.readConfig(at, bytes);
}

/** Whether a frame can come from or go to one station with this address. */
export const isStationAddress = (mac: Uint8Array): boolean =>
  (mac[0]! & 1) === 0 && mac.subarray(0, MAC_BYTES).some((byte) => byte !== 0);

/** A locally administered address of one station. @param random 0 ≤ x < 1 */
export function randomAddress(random: () => number): Uint8Array<ArrayBuffer> {
  const mac = Uint8Array.from({ length: MAC_BYTES }, () => Math.floor(random() * 256));
  mac[0] = (mac[0]! & 0xfc) | 2;
  return mac;
}
