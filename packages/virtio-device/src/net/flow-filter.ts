import type { Frame } from '@ringwire/net-backend';
import { ETHERNET, ETHERTYPE, HEADER_BYTES, IPPROTO, IPV4, IPV6, TCP, UDP } from '@ringwire/net-offload';
import { VIRTIO_NET_FF_MASK_TYPE } from '@ringwire/virtio-spec/admin';
import type { HeaderReader } from './header-reader.js';

const T = VIRTIO_NET_FF_MASK_TYPE;
/** Bytes that rules compare: an Ethernet header, then room for an IP header, then for one behind it. */
const IP_AT = ETHERNET.SIZE;
const TRANSPORT_AT = IP_AT + IPV6.SIZE;
const BYTES = Math.ceil((TRANSPORT_AT + TCP.SIZE) / 4) * 4;
const WORDS = BYTES / 4;
const ESP_BYTES = 8;

/** What became of a frame, where it is not a queue pair's number. */
export const FLOW = { NO_MATCH: -3, DROP: -2 } as const;

/** A rule with what it refers to, in the place that it is applied in. */
export interface FlowRule {
  /** `VIRTIO_NET_FF_MASK_TYPE` of each selector, with its mask and the key's part for it. */
  readonly selectors: readonly { readonly type: number; readonly mask: Uint8Array; readonly key: Uint8Array }[];
  /** Queue pair, or FLOW.DROP. */
  readonly verdict: number;
}

/** Where a selector's header begins in what is compared. */
const placeOf = (type: number): number =>
  type === T.ETH ? 0 : type === T.IPV4 || type === T.IPV6 ? IP_AT : TRANSPORT_AT;

/** Flow filter rules at work: the first one that matches says where a frame goes. @see virtio 1.4 §5.1.9.6 */
export class FlowFilter {
  /** Whether there are rules. */
  isActive = false;
  private count = 0;
  /** Per rule: bit per selector type that a frame has to have a header of, and WORDS words of mask and of masked key. */
  private needs = new Uint8Array(0);
  private masks = new Uint32Array(0);
  private keys = new Uint32Array(0);
  private verdicts = new Int32Array(0);
  private readonly bytes = new Uint8Array(BYTES);
  private readonly words = new Uint32Array(this.bytes.buffer);

  /** @param rules in the order in which they are applied */
  set(rules: readonly FlowRule[]): void {
    this.count = rules.length;
    this.isActive = rules.length > 0;
    this.needs = new Uint8Array(rules.length);
    this.masks = new Uint32Array(rules.length * WORDS);
    this.keys = new Uint32Array(rules.length * WORDS);
    this.verdicts = Int32Array.from(rules, ({ verdict }) => verdict);
    const masks = new Uint8Array(this.masks.buffer);
    const keys = new Uint8Array(this.keys.buffer);
    for (const [rule, { selectors }] of rules.entries()) {
      for (const { type, mask, key } of selectors) {
        this.needs[rule]! |= 1 << type;
        const at = rule * BYTES + placeOf(type);
        for (const [i, bits] of mask.entries()) {
          masks[at + i] = bits;
          keys[at + i] = key[i]! & bits;
        }
      }
    }
  }

  /** @param reader has read the frame. @returns a queue pair, FLOW.DROP, or FLOW.NO_MATCH */
  match(frame: Frame, reader: HeaderReader): number {
    const has = this.load(Math.min(frame.length, HEADER_BYTES), reader);
    const { words, masks, keys, needs } = this;
    for (let rule = 0; rule < this.count; rule++) {
      if ((needs[rule]! & ~has) !== 0) continue;
      const at = rule * WORDS;
      let word = 0;
      while (word < WORDS && (words[word]! & masks[at + word]!) >>> 0 === keys[at + word]) word++;
      if (word === WORDS) return this.verdicts[rule]!;
    }
    return FLOW.NO_MATCH;
  }

  /** Put a frame's headers where rules compare them. @returns bit per selector type that it has a header of */
  private load(length: number, { u8, base, headers }: HeaderReader): number {
    const { ip } = headers;
    this.copy(u8, base, 0, ETHERNET.SIZE);
    const type = (this.bytes[ETHERNET.type]! << 8) | this.bytes[ETHERNET.type + 1]!;
    let has = 1 << T.ETH;
    // A tagged frame has no IP header behind its first 14 bytes, which are all that a selector knows of.
    if (ip.at !== IP_AT) return has;
    if (ip.version === 4 && type === ETHERTYPE.IPV4) {
      has |= 1 << T.IPV4;
      this.copy(u8, base + IP_AT, IP_AT, IPV4.SIZE);
    } else if (ip.version === 6 && type === ETHERTYPE.IPV6) {
      has |= 1 << T.IPV6;
      this.copy(u8, base + IP_AT, IP_AT, IPV6.SIZE);
      // The last header's successor, as virtio 1.4 §5.1.9.6.2.2 has it, where the headers can be followed.
      if (ip.protocol >= 0) this.bytes[IP_AT + IPV6.next_header] = ip.protocol;
    } else return has;
    if (ip.transport === IPPROTO.TCP) return this.loadTransport(has, T.TCP, u8, base + ip.payload, TCP.SIZE);
    if (ip.transport === IPPROTO.UDP) return this.loadTransport(has, T.UDP, u8, base + ip.payload, UDP.SIZE);
    const isEsp = ip.protocol === IPPROTO.ESP && !ip.fragment && ip.payload + ESP_BYTES <= length;
    return isEsp ? this.loadTransport(has, T.ESP, u8, base + ip.payload, ESP_BYTES) : has;
  }

  private loadTransport(has: number, type: number, u8: Uint8Array, from: number, length: number): number {
    this.copy(u8, from, TRANSPORT_AT, length);
    return has | (1 << type);
  }

  private copy(u8: Uint8Array, from: number, to: number, length: number): void {
    for (let i = 0; i < length; i++) this.bytes[to + i] = u8[from + i]!;
  }
}
