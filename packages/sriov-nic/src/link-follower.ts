import type { EswitchPort } from '@ringwire/eswitch';
import type { NetDevice } from '@ringwire/virtio-device';
import { VIRTIO_NET_DUPLEX } from '@ringwire/virtio-spec/net';

/**
 * A virtio device's link is that of its port from now on. Each time it comes up the driver is shown the wire's speed and
 * duplex as they are then, or the rate that the host set for the port where that is less: while the link is up they may
 * not change (virtio 1.4 §5.1.4.1).
 * @returns the port's `onLink`, which tells the device; another one, and the port is another device's
 */
export function followLink(model: NetDevice, port: EswitchPort): (isUp: boolean) => void {
  const follow = (isUp: boolean): void => {
    if (isUp) {
      const { maxTxRate } = port.settings;
      const speed = maxTxRate > 0 ? Math.min(port.speed, Math.ceil(maxTxRate)) : port.speed;
      model.setSpeed(speed, port.duplex === 'full' ? VIRTIO_NET_DUPLEX.FULL : VIRTIO_NET_DUPLEX.HALF);
    }
    model.setLink(isUp);
  };
  model.setLink(false);
  follow(port.isUp);
  port.onLink = follow;
  return follow;
}
