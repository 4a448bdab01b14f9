import { hasFeature, VIRTIO_F, VIRTIO_F_LEGACY, VIRTIO_ID } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';

/** iproute2 knows 64 bits. */
const BITS = 64;

/** Bits of rings and transports that iproute2 has names for. */
const COMMON: ReadonlyMap<number, string> = new Map([
  [VIRTIO_F.INDIRECT_DESC, 'RING_INDIRECT_DESC'],
  [VIRTIO_F.EVENT_IDX, 'RING_EVENT_IDX'],
  [VIRTIO_F.VERSION_1, 'VERSION_1'],
  [VIRTIO_F.ACCESS_PLATFORM, 'ACCESS_PLATFORM'],
  [VIRTIO_F.RING_PACKED, 'RING_PACKED'],
  [VIRTIO_F.IN_ORDER, 'IN_ORDER'],
  [VIRTIO_F.ORDER_PLATFORM, 'ORDER_PLATFORM'],
  [VIRTIO_F.SR_IOV, 'SR_IOV'],
  [VIRTIO_F.NOTIFICATION_DATA, 'NOTIFICATION_DATA'],
]);

const NET_NAMES = [
  'CSUM',
  'GUEST_CSUM',
  'CTRL_GUEST_OFFLOADS',
  'MTU',
  'MAC',
  'GUEST_TSO4',
  'GUEST_TSO6',
  'GUEST_ECN',
  'GUEST_UFO',
  'HOST_TSO4',
  'HOST_TSO6',
  'HOST_ECN',
  'HOST_UFO',
  'MRG_RXBUF',
  'STATUS',
  'CTRL_VQ',
  'CTRL_RX',
  'CTRL_VLAN',
  'CTRL_RX_EXTRA',
  'GUEST_ANNOUNCE',
  'MQ',
  'CTRL_MAC_ADDR',
  'RSC_EXT',
  'HASH_REPORT',
  'RSS',
  'STANDBY',
  'SPEED_DUPLEX',
] as const satisfies readonly (keyof typeof VIRTIO_NET_F)[];

/** Bits of the network device that iproute2 has names for. */
const NET: ReadonlyMap<number, string> = new Map<number, string>([
  ...NET_NAMES.map((name): [number, string] => [VIRTIO_NET_F[name], name]),
  [VIRTIO_F_LEGACY.NOTIFY_ON_EMPTY, 'NOTIFY_ON_EMPTY'],
  [VIRTIO_F_LEGACY.ANY_LAYOUT, 'ANY_LAYOUT'],
]);

/** A feature set as iproute2's `vdpa -j` has it: names in the order of bits, and for a bit without a name its number. */
export function shownFeatures(features: Uint32Array, deviceId: number): (string | number)[] {
  const names = deviceId === VIRTIO_ID.NET ? NET : undefined;
  return Array.from({ length: BITS }, (_, bit) => bit)
    .filter((bit) => hasFeature(features, bit))
    .map((bit) => COMMON.get(bit) ?? names?.get(bit) ?? bit);
}
