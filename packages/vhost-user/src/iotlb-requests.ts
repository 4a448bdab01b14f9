import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import type { MemoryTable } from './memory-table.js';
import { IOTLB, IOTLB_TYPE } from './messages.js';
import type { VhostPort } from './vhost-port.js';

/** Addresses end here; see `AddressSpace`. */
const ADDRESSES_END = 2n ** 53n;
const READ_WRITE = 3;

/** What a front-end says of translations: IOTLB_MSG. */
export class IotlbRequests {
  private readonly port: VhostPort;
  private readonly table: MemoryTable;

  constructor(port: VhostPort, table: MemoryTable) {
    this.port = port;
    this.table = table;
  }

  /** @returns why a request is refused */
  take(payload: DataView): string | undefined {
    if (!hasFeature(this.port.features, VIRTIO_F.ACCESS_PLATFORM)) return 'ACCESS_PLATFORM was not negotiated';
    const iova = payload.getBigUint64(IOTLB.iova, true);
    const size = payload.getBigUint64(IOTLB.size, true);
    const type = payload.getUint8(IOTLB.type);
    if (iova + size > 2n ** 64n) return `${size} translated bytes from 0x${iova.toString(16)} on wrap`;
    if (type === IOTLB_TYPE.INVALIDATE) return this.invalidate(iova, iova + size);
    if (type !== IOTLB_TYPE.UPDATE) return `a translation message of type ${type}`;
    const access = payload.getUint8(IOTLB.access);
    if (access > READ_WRITE) return `permissions are ${access}, want 0 to ${READ_WRITE}`;
    if (size === 0n) return 'a translation of no bytes';
    if (iova + size > ADDRESSES_END) return 'a translated address beyond 2^53';
    return this.update(Number(iova), Number(size), payload.getBigUint64(IOTLB.userspace, true), access);
  }

  private update(iova: number, size: number, userspace: bigint, access: number): string | undefined {
    const host = userspace < ADDRESSES_END ? this.table.hostOf(Number(userspace), size) : -1;
    if (host < 0)
      return `a translation to 0x${userspace.toString(16)}, where there are not ${size} bytes in one region`;
    const { translated } = this.table;
    // A ring stays open where nothing is taken away from it.
    const end = access === READ_WRITE ? iova : iova + size;
    return this.port.retranslate(iova, end, () =>
      translated.add(iova, size, host, access) ? undefined : 'a translation that contradicts another one',
    );
  }

  private invalidate(from: bigint, to: bigint): undefined {
    const [start, end] = [from, to].map((at) => Number(at < ADDRESSES_END ? at : ADDRESSES_END)) as [number, number];
    this.port.retranslate(start, end, () => {
      this.table.translated.remove(start, end);
      return undefined;
    });
  }
}
