import {
  VIRTIO_NET_CTRL_HASH_TUNNEL,
  VIRTIO_NET_CTRL_MQ,
  VIRTIO_NET_CTRL_MQ_VQ_PAIRS,
  VIRTIO_NET_CTRL_RSS_CTX,
  VIRTIO_NET_F,
  VIRTIO_NET_RSS_CTX,
} from '@ringwire/virtio-spec/net';
import type { ControlCommand } from './ctrl-command.js';
import type { NetState } from './net-state.js';
import { readHashConfig, readRssConfig, TUNNEL_TYPES } from './rss-config.js';
import type { Steering } from './steering.js';

const F = VIRTIO_NET_F;

/** Commands about which queue a frame belongs to: the classes MQ, HASH_TUNNEL and RSS_CTX. */
export class SteeringCommands {
  private readonly state: NetState;
  private readonly steering: Steering;
  private readonly contextsMax: number;

  constructor(state: NetState, steering: Steering, contextsMax: number) {
    this.state = state;
    this.steering = steering;
    this.contextsMax = contextsMax;
  }

  /** virtio 1.4 §5.1.9.5.5 to .7: of both ways to steer the last one set is in force. */
  mq(command: ControlCommand): boolean {
    const { state } = this;
    switch (command.command) {
      case VIRTIO_NET_CTRL_MQ.VQ_PAIRS_SET:
        return state.has(F.MQ) && this.setPairs(command);
      case VIRTIO_NET_CTRL_MQ.RSS_CONFIG:
        return state.has(F.RSS) && this.setRss(command.data);
      case VIRTIO_NET_CTRL_MQ.HASH_CONFIG:
        return state.has(F.HASH_REPORT) && this.setHash(command.data);
      default:
        return false;
    }
  }

  /** virtio 1.4 §5.1.9.4.4 */
  hashTunnel(command: ControlCommand): boolean {
    const isSet = command.command === VIRTIO_NET_CTRL_HASH_TUNNEL.SET;
    if (!isSet || !this.state.has(F.HASH_TUNNEL) || command.data.length < 4) return false;
    const types = command.u32(0);
    if ((types & ~TUNNEL_TYPES) !== 0) return false;
    this.steering.tunnelTypes = types;
    return true;
  }

  /** virtio 1.4 §5.1.9.5.8 */
  rssContext(command: ControlCommand): boolean {
    if (!this.state.has(F.RSS_CONTEXT)) return false;
    if (command.command === VIRTIO_NET_CTRL_RSS_CTX.CAP_GET) return this.answerCapability(command);
    const { contexts } = this.steering;
    if (command.data.length < 2) return false;
    const id = command.u16(VIRTIO_NET_RSS_CTX.rss_ctx_id);
    switch (command.command) {
      case VIRTIO_NET_CTRL_RSS_CTX.ADD:
        return !contexts.has(id) && this.setContext(id, command.data);
      case VIRTIO_NET_CTRL_RSS_CTX.MOD:
        return contexts.has(id) && this.setContext(id, command.data);
      case VIRTIO_NET_CTRL_RSS_CTX.DEL:
        return contexts.delete(id);
      default:
        return false;
    }
  }

  private setPairs(command: ControlCommand): boolean {
    if (command.data.length < 2 || this.steering.contexts.size > 0) return false;
    const pairs = command.u16(0);
    if (pairs < VIRTIO_NET_CTRL_MQ_VQ_PAIRS.MIN || pairs > this.state.pairsMax) return false;
    this.steering.setPairs(pairs);
    return true;
  }

  private setRss(data: Uint8Array): boolean {
    const config = readRssConfig(data, this.state.pairsMax);
    if (config !== undefined) this.steering.setRss(config);
    return config !== undefined;
  }

  private setHash(data: Uint8Array): boolean {
    const rules = readHashConfig(data);
    if (rules !== undefined) this.steering.setHash(rules);
    return rules !== undefined;
  }

  private setContext(id: number, data: Uint8Array): boolean {
    if (id < 1 || id > this.contextsMax) return false;
    const config = readRssConfig(data.subarray(VIRTIO_NET_RSS_CTX.rss), this.state.pairsMax);
    if (config !== undefined) this.steering.contexts.set(id, config);
    return config !== undefined;
  }

  private answerCapability(command: ControlCommand): boolean {
    if (command.room < 2) return false;
    command.resultView.setUint16(0, this.contextsMax, true);
    command.resultBytes = 2;
    return true;
  }
}
