import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_DUPLEX, VIRTIO_NET_F, VIRTIO_NET_S, VIRTIO_NET_SPEED } from '@ringwire/virtio-spec/net';
import type { NetFacts } from './net-facts.js';

/** The link as the configuration says it. @see virtio 1.4 §5.1.4.2 */
export class LinkState {
  /** Up without STATUS. */
  isUp = true;
  /** Mbit/s, -1 when not known. */
  speed = -1;
  /** Undefined when not known. */
  isFullDuplex: boolean | undefined = undefined;

  /** @param features the negotiated ones @returns whether the link went up or down */
  update(facts: NetFacts, features: Uint32Array): boolean {
    const wasUp = this.isUp;
    if (hasFeature(features, VIRTIO_NET_F.STATUS)) this.isUp = (facts.status & VIRTIO_NET_S.LINK_UP) !== 0;
    if (hasFeature(features, VIRTIO_NET_F.SPEED_DUPLEX)) {
      const { FULL, HALF } = VIRTIO_NET_DUPLEX;
      this.speed = facts.speed <= VIRTIO_NET_SPEED.MAX ? facts.speed : -1;
      this.isFullDuplex = facts.duplex === FULL ? true : facts.duplex === HALF ? false : undefined;
    }
    return this.isUp !== wasUp;
  }
}
