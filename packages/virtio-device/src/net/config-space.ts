import { VIRTIO_NET_CONFIG, VIRTIO_NET_CONFIG_SIZE, VIRTIO_NET_S } from '@ringwire/virtio-spec/net';
import type { NetDeviceSettings } from './net-options.js';

const C = VIRTIO_NET_CONFIG;

/** What a device says of its hashing in the configuration. */
export interface HashLimits {
  readonly keyBytes: number;
  readonly tableEntries: number;
  readonly hashTypes: number;
  readonly tunnelTypes: number;
}

/**
 * virtio 1.4 §5.1.4 Device configuration layout, as the driver reads it. Fields whose feature is not offered are filled
 * all the same: their place is kept, and nobody is to read them.
 */
export class ConfigSpace {
  readonly bytes: Uint8Array = new Uint8Array(VIRTIO_NET_CONFIG_SIZE);
  private readonly view: DataView = new DataView(this.bytes.buffer);

  constructor(settings: NetDeviceSettings, hash: HashLimits) {
    const { view } = this;
    this.setMac(settings.mac);
    view.setUint16(C.status.at, VIRTIO_NET_S.LINK_UP, true);
    view.setUint16(C.max_virtqueue_pairs.at, settings.pairs, true);
    this.setMtu(settings.mtu);
    this.setSpeed(settings.speed, settings.duplex);
    view.setUint8(C.rss_max_key_size.at, hash.keyBytes);
    view.setUint16(C.rss_max_indirection_table_length.at, hash.tableEntries, true);
    view.setUint32(C.supported_hash_types.at, hash.hashTypes, true);
    view.setUint32(C.supported_tunnel_types.at, hash.tunnelTypes, true);
  }

  get mac(): Uint8Array {
    return this.bytes.subarray(C.mac.at, C.mac.at + C.mac.bytes);
  }

  setMac(mac: Uint8Array): void {
    this.bytes.set(mac, C.mac.at);
  }

  setMtu(mtu: number): void {
    this.view.setUint16(C.mtu.at, mtu, true);
  }

  /** @returns whether they were other ones before */
  setSpeed(speed: number, duplex: number): boolean {
    const { view } = this;
    const isOther = view.getUint32(C.speed.at, true) !== speed || view.getUint8(C.duplex.at) !== duplex;
    view.setUint32(C.speed.at, speed, true);
    view.setUint8(C.duplex.at, duplex);
    return isOther;
  }

  /** @param bit of `VIRTIO_NET_S` */
  hasStatus(bit: number): boolean {
    return (this.view.getUint16(C.status.at, true) & bit) !== 0;
  }

  setStatus(bit: number, isOn: boolean): void {
    const status = this.view.getUint16(C.status.at, true);
    this.view.setUint16(C.status.at, isOn ? status | bit : status & ~bit, true);
  }
}
