import { hasFeature } from '@ringwire/virtio-spec';
import { type NetConfigField, VIRTIO_NET_CONFIG, VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { Verdict } from '../verdict.js';

/** Features of which one has to be offered for a field to be there. Of `mac`, the table says nothing: it means nothing without MAC. */
const featuresOf = (field: NetConfigField): readonly (keyof typeof VIRTIO_NET_F)[] =>
  field === 'mac' ? ['MAC'] : VIRTIO_NET_CONFIG[field].features;

/** Bytes of the configuration were read. @param knows whether the driver has read any features */
export function judgeConfigRead(
  verdict: Verdict,
  offered: Uint32Array,
  knows: boolean,
  at: number,
  bytes: number,
): void {
  for (const field of Object.keys(VIRTIO_NET_CONFIG) as NetConfigField[]) {
    const { at: first, bytes: length } = VIRTIO_NET_CONFIG[field];
    if (at >= first + length || first >= at + bytes) continue;
    const isThere = featuresOf(field).some((name) => hasFeature(offered, VIRTIO_NET_F[name]));
    const why = knows ? `none of ${featuresOf(field).join(', ')} is offered` : 'features were not read yet';
    verdict.judge('drv.basic.config-space.3', isThere, `${field} is read, ${bytes} bytes at ${at}, and ${why}`);
  }
}
