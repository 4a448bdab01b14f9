import { VirtioError } from '@ringwire/virtio-spec';
import {
  type NetFeature,
  VIRTIO_NET_CTRL_ANNOUNCE,
  VIRTIO_NET_CTRL_CLASS,
  VIRTIO_NET_CTRL_COAL,
  VIRTIO_NET_CTRL_COAL_VQ,
  VIRTIO_NET_CTRL_GUEST_OFFLOADS,
  VIRTIO_NET_CTRL_HASH_TUNNEL,
  VIRTIO_NET_CTRL_MAC,
  VIRTIO_NET_CTRL_MQ,
  VIRTIO_NET_CTRL_NOTF_COAL,
  VIRTIO_NET_CTRL_RX,
  VIRTIO_NET_CTRL_VLAN,
  VIRTIO_NET_GUEST_OFFLOAD,
  VIRTIO_NET_HASH_CONFIG,
  VIRTIO_NET_HASH_TUNNEL_TYPE,
} from '@ringwire/virtio-spec/net';
import { type CommandScope, type Done, ignore, needFeature } from './command-scope.js';
import { COMMAND, type CommandDone, type ControlQueue } from './control-queue.js';
import { isStationAddress } from './net-facts.js';
import { RssCommands } from './rss-commands.js';
import { StatsCommands } from './stats-commands.js';

/** Receive modes, by command; ALLUNI, NOMULTI, NOUNI and NOBCAST need CTRL_RX_EXTRA. */
export type RxMode = keyof typeof VIRTIO_NET_CTRL_RX;

/** Notifications of a queue are held back until so many packets, or so many microseconds. */
export interface Coalescing {
  readonly maxPackets: number;
  readonly maxUsecs: number;
}

const MAC_BYTES = 6;
const COUNT_BYTES = 4;

/**
 * The commands of the control queue. A method returns false when too many are on their way already; `done` hears how
 * the command ended. What a driver must not ask for, by what was negotiated or by what the device can, is a
 * `VirtioError`. @see virtio 1.4 §5.1.9.5
 */
export class NetCommands {
  readonly rss: RssCommands;
  readonly stats: StatsCommands;
  private readonly queue: ControlQueue;
  private readonly scope: CommandScope;
  private readonly send: (commandClass: number, command: number, data: Uint8Array, done: Done) => boolean;

  constructor(queue: ControlQueue, scope: CommandScope) {
    this.queue = queue;
    this.scope = scope;
    this.send = (commandClass, command, data, done) => this.request(commandClass, command, data, 0, done);
    this.rss = new RssCommands(scope, (...parts) => this.request(...parts));
    this.stats = new StatsCommands(scope, (...parts) => this.request(...parts));
  }

  /** @see virtio 1.4 §5.1.9.5.1 */
  setRxMode(mode: RxMode, isOn: boolean, done: Done = ignore): boolean {
    this.need(mode === 'PROMISC' || mode === 'ALLMULTI' ? 'CTRL_RX' : 'CTRL_RX_EXTRA', '§5.1.9.5.1');
    return this.send(VIRTIO_NET_CTRL_CLASS.RX, VIRTIO_NET_CTRL_RX[mode], Uint8Array.of(isOn ? 1 : 0), done);
  }

  /** Receive frames to these addresses too. Either list may be empty. @see virtio 1.4 §5.1.9.5.2 */
  setMacTable(unicast: readonly Uint8Array[], multicast: readonly Uint8Array[], done: Done = ignore): boolean {
    const spec = '§5.1.9.5.2';
    this.need('CTRL_RX', spec);
    const data = new Uint8Array(2 * COUNT_BYTES + (unicast.length + multicast.length) * MAC_BYTES);
    const view = new DataView(data.buffer);
    let at = 0;
    for (const list of [unicast, multicast]) {
      view.setUint32(at, list.length, true);
      at += COUNT_BYTES;
      for (const mac of list) {
        if (mac.length !== MAC_BYTES || ((mac[0]! & 1) !== 0) !== (list === multicast))
          throw new VirtioError(
            'mac',
            macText(mac),
            list === multicast ? 'a multicast address' : 'a unicast address',
            spec,
          );
        data.set(mac, at);
        at += MAC_BYTES;
      }
    }
    return this.send(VIRTIO_NET_CTRL_CLASS.MAC, VIRTIO_NET_CTRL_MAC.TABLE_SET, data, done);
  }

  /** Set the station's own address. @see virtio 1.4 §5.1.9.5.2 */
  setMac(mac: Uint8Array, done: Done = ignore): boolean {
    this.need('CTRL_RX', '§5.1.9.5.2');
    if (mac.length !== MAC_BYTES || !isStationAddress(mac))
      throw new VirtioError('mac', macText(mac), 'the address of one station', 'virtio 1.4 §5.1.9.5.2');
    const copy = mac.slice();
    return this.send(VIRTIO_NET_CTRL_CLASS.MAC, VIRTIO_NET_CTRL_MAC.ADDR_SET, copy, (outcome) => {
      if (outcome === COMMAND.OK) this.scope.addressChanged(copy);
      done(outcome);
    });
  }

  /** Receive frames of a VLAN, or no longer. @param id 0 to 4095 @see virtio 1.4 §5.1.9.5.3 */
  setVlan(id: number, isOn: boolean, done: Done = ignore): boolean {
    this.need('CTRL_VLAN', '§5.1.9.5.3');
    if (!Number.isInteger(id) || id < 0 || id > 4095)
      throw new VirtioError('vlan', id, '0 to 4095', 'virtio 1.4 §5.1.9.5.3');
    const command = isOn ? VIRTIO_NET_CTRL_VLAN.ADD : VIRTIO_NET_CTRL_VLAN.DEL;
    return this.send(VIRTIO_NET_CTRL_CLASS.VLAN, command, words16(id), done);
  }

  /** Tell the device that its wish for an announcement was heard. @see virtio 1.4 §5.1.9.5.4 */
  acknowledgeAnnounce(done: Done = ignore): boolean {
    this.need('GUEST_ANNOUNCE', '§5.1.9.5.4');
    return this.send(VIRTIO_NET_CTRL_CLASS.ANNOUNCE, VIRTIO_NET_CTRL_ANNOUNCE.ACK, new Uint8Array(0), done);
  }

  /** Use the first so many queue pairs. @param pairs 1 to those that were set up @see virtio 1.4 §5.1.9.5.6 */
  setPairs(pairs: number, done: Done = ignore): boolean {
    const spec = 'virtio 1.4 §5.1.9.5.6';
    this.need('MQ', '§5.1.9.5.6');
    if (!Number.isInteger(pairs) || pairs < 1 || pairs > this.scope.pairs)
      throw new VirtioError('virtqueue_pairs', pairs, `1 to ${this.scope.pairs}, those set up`, spec);
    if (this.rss.contexts > 0)
      throw new VirtioError('virtqueue_pairs', pairs, 'no RSS context configured', 'virtio 1.4 §5.1.9.5.8.4');
    const sent = this.send(VIRTIO_NET_CTRL_CLASS.MQ, VIRTIO_NET_CTRL_MQ.VQ_PAIRS_SET, words16(pairs), (outcome) => {
      if (outcome === COMMAND.OK) this.scope.pairsChanged(pairs, false);
      done(outcome);
    });
    if (sent) this.scope.pairsChanged(pairs, true);
    return sent;
  }

  /** Which hashes to report, without RSS. @param key 40 to rss_max_key_size bytes @see virtio 1.4 §5.1.9.5.6.4 */
  setHash(hashTypes: number, key: Uint8Array, done: Done = ignore): boolean {
    this.need('HASH_REPORT', '§5.1.9.5.6.4');
    this.rss.checkHash(hashTypes, key);
    const at = VIRTIO_NET_HASH_CONFIG;
    const data = new Uint8Array(at.hash_key_data + key.length);
    new DataView(data.buffer).setUint32(at.hash_types, hashTypes, true);
    data[at.hash_key_length] = key.length;
    data.set(key, at.hash_key_data);
    return this.send(VIRTIO_NET_CTRL_CLASS.MQ, VIRTIO_NET_CTRL_MQ.HASH_CONFIG, data, done);
  }

  /** Hash inner headers of these tunnels. @param types `VIRTIO_NET_HASH_TUNNEL_TYPE` bits @see virtio 1.4 §5.1.9.4.4 */
  setHashTunnel(types: number, done: Done = ignore): boolean {
    this.need('HASH_TUNNEL', '§5.1.9.4.4.5');
    const known = Object.values(VIRTIO_NET_HASH_TUNNEL_TYPE).reduce((bits, bit) => bits | bit, 0);
    const supported = this.scope.facts.supported_tunnel_types & known;
    if ((types & ~supported) !== 0)
      throw new VirtioError('enabled_tunnel_types', types, `bits of ${supported} only`, 'virtio 1.4 §5.1.9.4.4.5');
    return this.send(VIRTIO_NET_CTRL_CLASS.HASH_TUNNEL, VIRTIO_NET_CTRL_HASH_TUNNEL.SET, words32(types), done);
  }

  /** Switch offloads of received frames on, all others off. @see virtio 1.4 §5.1.9.5.9 */
  setOffloads(offloads: readonly (keyof typeof VIRTIO_NET_GUEST_OFFLOAD)[], done: Done = ignore): boolean {
    this.need('CTRL_GUEST_OFFLOADS', '§5.1.9.5.9');
    const data = new Uint8Array(8);
    for (const offload of offloads) {
      this.need(`GUEST_${offload}`, '§5.1.9.5.9.2');
      const bit = VIRTIO_NET_GUEST_OFFLOAD[offload];
      data[bit >> 3]! |= 1 << (bit & 7);
    }
    return this.send(VIRTIO_NET_CTRL_CLASS.GUEST_OFFLOADS, VIRTIO_NET_CTRL_GUEST_OFFLOADS.SET, data, done);
  }

  /** Coalesce notifications of all transmit or all receive queues. @see virtio 1.4 §5.1.9.5.10 */
  setCoalescing(direction: 'transmit' | 'receive', wanted: Coalescing, done: Done = ignore): boolean {
    this.need('NOTF_COAL', '§5.1.9.5.10.5');
    const command = direction === 'transmit' ? VIRTIO_NET_CTRL_NOTF_COAL.TX_SET : VIRTIO_NET_CTRL_NOTF_COAL.RX_SET;
    const data = new Uint8Array(VIRTIO_NET_CTRL_COAL.SIZE);
    writeCoalescing(new DataView(data.buffer), 0, wanted);
    return this.send(VIRTIO_NET_CTRL_CLASS.NOTF_COAL, command, data, done);
  }

  /** Coalesce notifications of one transmit or receive queue in use. @see virtio 1.4 §5.1.9.5.10 */
  setQueueCoalescing(index: number, wanted: Coalescing, done: Done = ignore): boolean {
    this.needQueue(index);
    const data = new Uint8Array(VIRTIO_NET_CTRL_COAL_VQ.SIZE);
    const view = new DataView(data.buffer);
    view.setUint16(VIRTIO_NET_CTRL_COAL_VQ.vq_index, index, true);
    writeCoalescing(view, VIRTIO_NET_CTRL_COAL_VQ.coal, wanted);
    return this.send(VIRTIO_NET_CTRL_CLASS.NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL.VQ_SET, data, done);
  }

  /** @param done also gets the parameters, undefined when the device refused */
  getQueueCoalescing(index: number, done: (outcome: number, coalescing: Coalescing | undefined) => void): boolean {
    this.needQueue(index);
    const data = words16(index, 0);
    const { NOTF_COAL } = VIRTIO_NET_CTRL_CLASS;
    const { SIZE, max_packets, max_usecs } = VIRTIO_NET_CTRL_COAL;
    return this.request(NOTF_COAL, VIRTIO_NET_CTRL_NOTF_COAL.VQ_GET, data, SIZE, (outcome, result) => {
      if (result.length < SIZE) return done(outcome, undefined);
      const view = new DataView(result.buffer, result.byteOffset);
      done(outcome, { maxPackets: view.getUint32(max_packets, true), maxUsecs: view.getUint32(max_usecs, true) });
    });
  }

  private request(
    commandClass: number,
    command: number,
    data: Uint8Array,
    resultBytes: number,
    done: CommandDone,
  ): boolean {
    return this.queue.send(commandClass, command, data, resultBytes, this.scope.now(), (outcome, result) => {
      if (outcome === COMMAND.REFUSED) this.scope.refused();
      done(outcome, result);
    });
  }

  private needQueue(index: number): void {
    this.need('VQ_NOTF_COAL', '§5.1.9.5.10.5');
    if (Number.isInteger(index) && index >= 0 && index < this.scope.activePairs * 2) return;
    const want = `0 to ${this.scope.activePairs * 2 - 1}, a transmit or receive queue in use`;
    throw new VirtioError('vq_index', index, want, 'virtio 1.4 §5.1.9.5.10.5');
  }

  private need(feature: NetFeature, section: string): void {
    needFeature(this.scope.features, feature, section);
  }
}

function writeCoalescing(view: DataView, at: number, { maxPackets, maxUsecs }: Coalescing): void {
  for (const [field, value] of [
    ['max_packets', maxPackets],
    ['max_usecs', maxUsecs],
  ] as const) {
    if (value >>> 0 !== value) throw new VirtioError(field, value, '0 to 2^32-1', 'virtio 1.4 §5.1.9.5.10');
    view.setUint32(at + VIRTIO_NET_CTRL_COAL[field], value, true);
  }
}

const words16 = (...values: number[]): Uint8Array => new Uint8Array(Uint16Array.from(values).buffer);
const words32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const macText = (mac: Uint8Array): string => Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
