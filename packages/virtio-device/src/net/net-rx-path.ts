import { DELIVERED, type Delivered, type Frame } from '@ringwire/net-backend';
import { vlanIdOf } from './frame-bytes.js';
import { NET_DROP } from './net-drop.js';
import type { RxQueue } from './net-rx.js';
import { ETHERNET_HEADER_BYTES, type NetState } from './net-state.js';
import type { RxFilter } from './rx-filter.js';
import type { Steering } from './steering.js';

const { DROPPED } = DELIVERED;
const VLAN_TAG_BYTES = 4;

/** What a frame goes through before it lies in a receive queue: limits, filters, steering. */
export class RxPath {
  private readonly state: NetState;
  private readonly filter: RxFilter;
  private readonly steering: Steering;
  private readonly queues: readonly RxQueue[];

  constructor(state: NetState, filter: RxFilter, steering: Steering, queues: readonly RxQueue[]) {
    this.state = state;
    this.filter = filter;
    this.steering = steering;
    this.queues = queues;
  }

  receive(frame: Frame): Delivered {
    const { state } = this;
    if (state.port === undefined) return this.drop(NET_DROP.RX_STOPPED);
    if (!state.linkUp) return this.drop(NET_DROP.RX_LINK_DOWN);
    if (frame.length < ETHERNET_HEADER_BYTES) return this.drop(NET_DROP.RX_SHORT_FRAME);
    const refusal = this.filter.refusal(frame);
    if (refusal >= 0) return this.drop(refusal);
    if (!this.fits(frame)) return this.drop(NET_DROP.RX_LONG_FRAME);
    return this.deliver(frame);
  }

  private deliver(frame: Frame): Delivered {
    const pair = this.steering.pick(frame);
    if (pair < 0) return this.drop(NET_DROP.RX_QUEUE_OFF);
    return this.queues[pair]!.place(frame, 0, 0, 0);
  }

  private fits(frame: Frame): boolean {
    const over = frame.length - ETHERNET_HEADER_BYTES - this.state.mtu;
    return over <= 0 || (over <= VLAN_TAG_BYTES && vlanIdOf(frame) >= 0);
  }

  /** Before a queue is chosen, a frame is lost to the device as a whole. */
  private drop(reason: number): Delivered {
    this.state.drop(reason);
    return DROPPED;
  }
}
