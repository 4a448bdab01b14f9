import { FEATURE_WORDS, featureName, hasFeature, VIRTIO_F, VIRTIO_ID } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F, VIRTIO_NET_F_REQUIRES } from '@ringwire/virtio-spec/net';
import type { StatementId } from '../statements.js';
import type { DriverWatch } from './driver-watch.js';

const F = VIRTIO_NET_F;
const BITS = FEATURE_WORDS * 32;
/** Bits that mean something to a network device of virtio 1.4. */
const DEFINED: ReadonlySet<number> = new Set<number>([...Object.values(VIRTIO_F), ...Object.values(F)]);
/** What a driver accepts when it is offered. Not among it: what needs a driver to know more than the specification says. */
const WANTED: readonly (readonly [bit: number, id: StatementId])[] = [
  [VIRTIO_F.VERSION_1, 'drv.basic.reserved-features.1'],
  [VIRTIO_F.ACCESS_PLATFORM, 'drv.basic.reserved-features.3'],
  [VIRTIO_F.RING_PACKED, 'drv.basic.reserved-features.6'],
  [VIRTIO_F.ORDER_PLATFORM, 'drv.basic.reserved-features.7'],
  [VIRTIO_F.NOTIF_CONFIG_DATA, 'drv.basic.reserved-features.13'],
  [F.MAC, 'drv.net.config.2'],
  [F.MTU, 'drv.net.config.7'],
  [F.STANDBY, 'drv.net.config.10'],
];

/** FEATURES_OK was set: judge what was accepted, all words together. */
export function judgeAccepted({ verdict, offered, accepted, kind }: DriverWatch): void {
  const bits = Array.from({ length: BITS }, (_, bit) => bit).filter((bit) => hasFeature(accepted, bit));
  const names = (some: readonly number[]): string => some.map((bit) => featureName(bit, VIRTIO_ID.NET)).join(', ');
  const foreign = bits.filter((bit) => !hasFeature(offered, bit));
  verdict.judge('drv.basic.features.1', foreign.length === 0, () => `${names(foreign)} is accepted and not offered`);
  const undefinedBits = bits.filter((bit) => !DEFINED.has(bit) && hasFeature(offered, bit));
  const isOnOffer = Array.from({ length: BITS }, (_, bit) => bit).some(
    (bit) => hasFeature(offered, bit) && !DEFINED.has(bit),
  );
  if (isOnOffer) {
    const message = (): string => `${names(undefinedBits)} is accepted, which virtio 1.4 does not define`;
    for (const id of ['drv.basic.features.4', 'drv.basic.features.5'] as const)
      verdict.judge(id, undefinedBits.length === 0, message);
  }
  const has = (bit: number): boolean => hasFeature(accepted, bit);
  for (const { bit, needs } of VIRTIO_NET_F_REQUIRES) {
    if (!has(bit)) continue;
    const lacking = needs.find((group) => !group.some(has));
    const message = (): string => `${names([bit])} is accepted without ${names(lacking!)}`;
    verdict.judge('drv.basic.features.2', lacking === undefined, message);
  }
  for (const [bit, id] of WANTED) {
    // What names queues in notifications has a register on PCI alone.
    if (!hasFeature(offered, bit) || (bit === VIRTIO_F.NOTIF_CONFIG_DATA && kind !== 'pci')) continue;
    verdict.judge(id, has(bit), () => `${names([bit])} is offered and not accepted`);
  }
  for (const [bit, id] of [
    [F.HASH_REPORT, 'drv.net.config.13'],
    [F.CTRL_RX_EXTRA, 'drv.net.config.14'],
  ] as const)
    if (has(bit)) verdict.judge(id, has(F.CTRL_VQ), () => `${names([bit])} is accepted without ${names([F.CTRL_VQ])}`);
}
