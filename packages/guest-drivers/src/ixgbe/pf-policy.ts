import {
  MAILBOX_API,
  MESSAGE,
  MESSAGE_WORD,
  MULTICAST_MESSAGE,
  QUEUES_ANSWER,
  RETA,
  VLAN_MESSAGE,
} from '@ringwire/nic-spec/ixgbe';
import { isStation, macOfWords, sameMac } from './mac-address.js';
import { type PfCard, UNTRUSTED_VLANS } from './pf-card.js';
import type { VfState } from './pf-vf-state.js';
import { ACCEPT_MODES, type AcceptMode } from './vf-wishes.js';

/** What was decided of a request, and why. */
export interface Verdict {
  readonly isGranted: boolean;
  readonly reason: string;
  /** Words behind the first one, where they are not those of the request. */
  readonly words?: readonly number[];
}

const VERSIONS: readonly number[] = [
  MAILBOX_API.V1_0,
  MAILBOX_API.V1_1,
  MAILBOX_API.V1_2,
  MAILBOX_API.V1_3,
  MAILBOX_API.V1_4,
  MAILBOX_API.V1_5,
];
/** Longest frames with their check sequence that a driver may say it takes. */
const FRAME = { LEAST: 68, PLAIN: 1518, MOST: 9728 } as const;
const ENTRIES_PER_WORD = 16;

const yes = (reason: string, words?: readonly number[]): Verdict =>
  words === undefined ? { isGranted: true, reason } : { isGranted: true, reason, words };
const no = (reason: string): Verdict => ({ isGranted: false, reason });

/**
 * What virtual functions may have. All that they say is data; a refusal changes nothing. Which requests there are, and since
 * which version, is as the public drivers have it.
 */
export class PfPolicy {
  private readonly card: PfCard;

  constructor(card: PfCard) {
    this.card = card;
  }

  /** @param words of a request other than VF_RESET, of a function that may send it */
  decide(state: VfState, words: Uint32Array): Verdict {
    const info = (words[0]! >>> MESSAGE_WORD.INFO_SHIFT) & MESSAGE_WORD.INFO_MASK;
    switch (words[0]! & MESSAGE_WORD.TYPE_MASK) {
      case MESSAGE.SET_MAC_ADDR:
        return this.setMac(state, macOfWords(words[1]!, words[2]!));
      case MESSAGE.SET_MULTICAST:
        return this.setMulticast(state, words, info);
      case MESSAGE.SET_VLAN:
        return this.setVlan(state, words[1]!, info);
      case MESSAGE.SET_LPE:
        return this.setLongest(state, words[1]!);
      case MESSAGE.SET_MACVLAN:
        return this.setUnicast(state, macOfWords(words[1]!, words[2]!), info);
      case MESSAGE.API_NEGOTIATE:
        return agreeOnApi(state, words[1]!);
      case MESSAGE.GET_QUEUES:
        return this.queues(state);
      case MESSAGE.GET_RETA:
        return this.indirection(state);
      case MESSAGE.GET_RSS_KEY:
        return this.hashKey(state);
      case MESSAGE.UPDATE_XCAST_MODE:
        return this.setMode(state, words[1]!);
      case MESSAGE.GET_LINK_STATE:
        if (state.api < MAILBOX_API.V1_2) return needs('1.2');
        return yes(`its link is on ${state.settings.linkState}`, [state.settings.linkState === 'disable' ? 0 : 1]);
      default:
        return no('no message that this driver knows');
    }
  }

  private setMac(state: VfState, mac: Uint8Array): Verdict {
    if (!isStation(mac)) return no('no address of a station');
    const { settings } = state;
    if (settings.mac !== undefined && !settings.trust && !sameMac(settings.mac, mac))
      return no('the host set another address, and the function is not trusted');
    if (this.card.isTaken(mac, state.vf)) return no('another function of the card has this address');
    return this.card.giveMac(state, mac) ? yes('its address now') : no('the table of addresses is full');
  }

  private setMulticast(state: VfState, words: Uint32Array, count: number): Verdict {
    const { MOST, HASH_MASK } = MULTICAST_MESSAGE;
    if (count > MOST) return no(`${count} hashes, of ${MOST} that fit`);
    const hashes = Array.from({ length: count }, (_, i) => (words[1 + (i >> 1)]! >>> (16 * (i & 1))) & 0xffff);
    if (hashes.some((hash) => hash > HASH_MASK)) return no('a hash of more than 12 bits');
    this.card.setGroups(state, hashes);
    return yes(`groups of ${count} hashes`);
  }

  private setVlan(state: VfState, vlan: number, info: number): Verdict {
    const { vlans } = this.card;
    if (state.settings.vlan !== 0) return no('the host put the function into a VLAN');
    // A frame that gets the host's tag has no room for one of the function's.
    if (state.settings.qos !== 0 && vlan !== 0) return no('the host puts its own tag into every frame');
    if (vlan > 4094 || info > VLAN_MESSAGE.ADD) return no('no VLAN from 0 to 4094 to be added or removed');
    if (info === 0) {
      // Untagged frames are everybody's.
      if (vlan !== 0) vlans.leave(vlan, state.vf);
      return yes(vlan === 0 ? 'VLAN 0 stays' : 'a member no more');
    }
    if (!state.settings.trust && !vlans.has(vlan, state.vf) && vlans.countOf(state.vf) >= UNTRUSTED_VLANS)
      return no(`a member of ${UNTRUSTED_VLANS} VLANs, and not trusted with more`);
    return vlans.join(vlan, state.vf) ? yes('a member now') : no('the table of VLANs is full');
  }

  private setLongest(state: VfState, bytes: number): Verdict {
    const { LEAST, PLAIN, MOST } = FRAME;
    if (bytes < LEAST || bytes > MOST) return no(`no length from ${LEAST} to ${MOST}`);
    const isJumbo = this.card.longestFrame > PLAIN;
    // The card has one longest frame for all: nobody is to be sent what its driver has no buffers for.
    if (state.api < MAILBOX_API.V1_1 && isJumbo) {
      state.longestFrame = 0;
      this.card.applyEnable(state);
      return no('drivers of version 1.0 have no buffers for long frames: it receives none');
    }
    if (!isJumbo && bytes > PLAIN) return no(`the card takes frames of up to ${PLAIN} bytes`);
    state.longestFrame = bytes;
    this.card.applyEnable(state);
    return yes(`frames of up to ${bytes} bytes`);
  }

  private setUnicast(state: VfState, mac: Uint8Array, index: number): Verdict {
    const { settings, unicast } = state;
    if (index > 0) {
      if (settings.mac !== undefined && !settings.trust)
        return no('the host set the address, and the function is not trusted');
      if (!isStation(mac)) return no('no address of a station');
      if (this.card.isTaken(mac, state.vf)) return no('another function of the card has this address');
    }
    if (index <= 1) this.card.dropUnicast(state);
    if (index === 0) return yes('no further addresses');
    const share = this.card.unicastShare;
    if (unicast.length >= share) return no(`${share} further addresses are its share of the table`);
    if (!this.card.macs.add(mac, state.vf)) return no('the table of addresses is full');
    unicast.push(mac);
    return yes(`further address ${unicast.length}`);
  }

  private queues(state: VfState): Verdict {
    if (state.api < MAILBOX_API.V1_1) return needs('1.1');
    const { vlan, qos } = state.settings;
    const words = new Array<number>(QUEUES_ANSWER.WORDS - 1).fill(0);
    const { queuesPerPool } = this.card.plan;
    words[QUEUES_ANSWER.TX_QUEUES - 1] = queuesPerPool;
    words[QUEUES_ANSWER.RX_QUEUES - 1] = queuesPerPool;
    words[QUEUES_ANSWER.TRANS_VLAN - 1] = vlan !== 0 || qos !== 0 ? 1 : 0;
    return yes(`${queuesPerPool} queues of each kind`, words);
  }

  private indirection(state: VfState): Verdict {
    const refusal = mayKnow(state);
    if (refusal !== undefined) return refusal;
    const words = new Array<number>(RETA.ENTRIES / ENTRIES_PER_WORD).fill(0);
    this.card.indirection.forEach((queue, i) => {
      const word = Math.floor(i / ENTRIES_PER_WORD);
      words[word] = (words[word]! | ((queue & 3) << (2 * (i % ENTRIES_PER_WORD)))) >>> 0;
    });
    return yes('the table', words);
  }

  private hashKey(state: VfState): Verdict {
    const refusal = mayKnow(state);
    if (refusal !== undefined) return refusal;
    const { hashKey } = this.card;
    return yes('the key', Array.from(new Uint32Array(hashKey.buffer, hashKey.byteOffset, hashKey.length / 4)));
  }

  private setMode(state: VfState, number: number): Verdict {
    if (state.api < MAILBOX_API.V1_2) return needs('1.2');
    const wanted = ACCEPT_MODES[number];
    if (wanted === undefined) return no('no mode');
    if (wanted === 'promiscuous' && state.api < MAILBOX_API.V1_3) return needs('1.3');
    const mayHave = state.settings.trust || wanted === 'none' || wanted === 'multicast';
    const granted: AcceptMode = mayHave ? wanted : 'multicast';
    state.mode = granted;
    this.card.applyAccept(state);
    const reason = mayHave ? granted : `${granted}: the function is not trusted with ${wanted}`;
    return yes(reason, [ACCEPT_MODES.indexOf(granted)]);
  }
}

function agreeOnApi(state: VfState, version: number): Verdict {
  if (!VERSIONS.includes(version)) return no('no version that this driver knows');
  state.api = version;
  return yes('this version from now on');
}

function mayKnow(state: VfState): Verdict | undefined {
  if (!state.settings.rssQuery) return no('the host did not allow it to know what spreads frames');
  return state.api < MAILBOX_API.V1_2 ? needs('1.2') : undefined;
}

const needs = (version: string): Verdict => no(`not before version ${version}`);
