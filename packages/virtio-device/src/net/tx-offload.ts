import { DELIVERED, type Delivered, type Frame } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { NET_DROP } from './net-drop.js';
import type { NetState } from './net-state.js';
import type { TxQueue } from './net-tx.js';
import type { TxHeader } from './tx-header.js';

/** Transmitted frames that ask for work. */
export class TxOffload {
  /** VIRTIO_NET_F_CSUM is negotiated. */
  checksums = false;
  private readonly state: NetState;

  constructor(state: NetState) {
    this.state = state;
  }

  start(): void {
    this.checksums = this.state.has(VIRTIO_NET_F.CSUM);
  }

  send(_frame: Frame, _header: TxHeader, queue: TxQueue): Delivered {
    queue.drop(NET_DROP.TX_BAD_CSUM);
    return DELIVERED.DROPPED;
  }
}
