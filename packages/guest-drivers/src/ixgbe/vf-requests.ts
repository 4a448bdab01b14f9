import {
  MAILBOX_API,
  MESSAGE,
  MESSAGE_WORD,
  MULTICAST_MESSAGE,
  QUEUES_ANSWER,
  RESET_ANSWER,
  RETA,
  VLAN_MESSAGE,
  XCAST_MODE,
} from '@ringwire/nic-spec/ixgbe';
import type { IxgbeCounters } from './ixgbe-counters.js';
import { groupHash, macOfWords, wordsOfMac } from './mac-address.js';
import { ANSWER, type VfMailbox } from './vf-mailbox.js';
import { ACCEPT_MODES, type AcceptMode } from './vf-wishes.js';

/** Versions of the mailbox's messages, the newest first: the highest that both know is used. */
const VERSIONS = [
  MAILBOX_API.V1_5,
  MAILBOX_API.V1_4,
  MAILBOX_API.V1_3,
  MAILBOX_API.V1_2,
  MAILBOX_API.V1_1,
  MAILBOX_API.V1_0,
] as const;
const KEY_WORDS = 10;
/** Entries of RETA in a word, two bits each. */
const ENTRIES_PER_WORD = 16;
const FCS = 4;
const ETHERNET = 14;

/** What a physical function says at a reset. */
export interface ResetAnswer {
  /** Undefined when it has none for this function. */
  readonly mac: Uint8Array<ArrayBuffer> | undefined;
}

/** What queues a function may use, and how. */
export interface QueuesAnswer {
  readonly tx: number;
  readonly rx: number;
  /** Frames carry a tag that its owner does not know of: it is to be taken out. */
  readonly hidesTag: boolean;
}

/**
 * The requests of a virtual function, one call each, which waits for the answer. What is answered is checked here, whatever
 * it is. Messages are as the public drivers have them.
 */
export class VfRequests {
  /** A `MAILBOX_API` value. */
  api: number = MAILBOX_API.V1_0;
  /** The physical function wants a reset before anything else. */
  wantsReset = false;
  /** A request was not answered. */
  isSilent = false;
  private readonly mailbox: VfMailbox;
  private readonly counters: IxgbeCounters;
  /** MCSTCTRL.MO. */
  private hashType = 0;

  constructor(mailbox: VfMailbox, counters: IxgbeCounters) {
    this.mailbox = mailbox;
    this.counters = counters;
  }

  /** @returns undefined when it was not answered */
  reset(): ResetAnswer | undefined {
    this.wantsReset = false;
    this.isSilent = false;
    this.api = MAILBOX_API.V1_0;
    const answer = this.mailbox.request([MESSAGE.VF_RESET]);
    if (answer !== ANSWER.ACK && answer !== ANSWER.NACK) {
      this.note(answer);
      return undefined;
    }
    const { words } = this.mailbox;
    this.hashType = words[RESET_ANSWER.MULTICAST_TYPE_WORD]! & 3;
    const mac = macOfWords(words[RESET_ANSWER.MAC_WORD]!, words[RESET_ANSWER.MAC_WORD + 1]!);
    return { mac: answer === ANSWER.ACK ? mac : undefined };
  }

  /** Agree on the newest version of the messages that both know. @returns false when there was no answer */
  agreeOnApi(): boolean {
    for (const version of VERSIONS) {
      const answer = this.mailbox.request([MESSAGE.API_NEGOTIATE, version]);
      if (answer === ANSWER.ACK) {
        this.api = version;
        return true;
      }
      if (answer !== ANSWER.NACK) {
        this.note(answer);
        return false;
      }
    }
    // One that does not know the request speaks the first version.
    return true;
  }

  /** @param limit queues that this driver can use, of each kind */
  queues(limit: number): QueuesAnswer | undefined {
    if (this.api === MAILBOX_API.V1_0) return { tx: 1, rx: 1, hidesTag: false };
    if (!this.ask([MESSAGE.GET_QUEUES])) return this.isSilent || this.wantsReset ? undefined : ONE_PAIR;
    const { words } = this.mailbox;
    const clamp = (count: number): number => Math.max(1, Math.min(count, limit));
    const { TX_QUEUES, RX_QUEUES, TRANS_VLAN } = QUEUES_ANSWER;
    return { tx: clamp(words[TX_QUEUES]!), rx: clamp(words[RX_QUEUES]!), hidesTag: words[TRANS_VLAN]! !== 0 };
  }

  setMac(mac: Uint8Array): boolean {
    return this.ask([MESSAGE.SET_MAC_ADDR, ...wordsOfMac(mac)]);
  }

  /** @param groups at most 30 */
  setMulticast(groups: readonly Uint8Array[]): boolean {
    const words = new Array<number>(1 + MULTICAST_MESSAGE.MOST / 2).fill(0);
    words[0] = MESSAGE.SET_MULTICAST | (groups.length << MESSAGE_WORD.INFO_SHIFT);
    groups.forEach((group, i) => {
      const word = 1 + (i >> 1);
      words[word] = (words[word]! | (groupHash(group, this.hashType) << (16 * (i & 1)))) >>> 0;
    });
    return this.ask(words);
  }

  setVlan(id: number, isMember: boolean): boolean {
    const info = isMember ? VLAN_MESSAGE.ADD << MESSAGE_WORD.INFO_SHIFT : 0;
    return this.ask([MESSAGE.SET_VLAN | info, id]);
  }

  setMtu(mtu: number): boolean {
    return this.ask([MESSAGE.SET_LPE, mtu + ETHERNET + FCS]);
  }

  /** Replace the list of further addresses. */
  setUnicast(stations: readonly Uint8Array[]): boolean {
    if (stations.length === 0) return this.ask([MESSAGE.SET_MACVLAN]);
    return stations.every((mac, i) =>
      this.ask([MESSAGE.SET_MACVLAN | ((i + 1) << MESSAGE_WORD.INFO_SHIFT), ...wordsOfMac(mac)]),
    );
  }

  /** @returns what was granted, which may be less; undefined when it was refused */
  setMode(mode: AcceptMode): AcceptMode | undefined {
    if (this.api < MAILBOX_API.V1_2) return undefined;
    if (!this.ask([MESSAGE.UPDATE_XCAST_MODE, ACCEPT_MODES.indexOf(mode)])) return undefined;
    const granted = this.mailbox.words[1]!;
    // More than was asked for cannot be meant.
    return granted <= XCAST_MODE.PROMISC ? ACCEPT_MODES[Math.min(granted, ACCEPT_MODES.indexOf(mode))] : undefined;
  }

  /** Which of its queues each of 128 hashes goes to; undefined when it may not know. */
  indirection(): Uint8Array<ArrayBuffer> | undefined {
    if (this.api < MAILBOX_API.V1_2 || !this.ask([MESSAGE.GET_RETA])) return undefined;
    const { words } = this.mailbox;
    return Uint8Array.from({ length: RETA.ENTRIES }, (_, i) => {
      const word = words[1 + Math.floor(i / ENTRIES_PER_WORD)]!;
      return (word >>> ((i % ENTRIES_PER_WORD) * 2)) & 3;
    });
  }

  /** The 40 bytes that the hash is made with; undefined when it may not know. */
  hashKey(): Uint8Array<ArrayBuffer> | undefined {
    if (this.api < MAILBOX_API.V1_2 || !this.ask([MESSAGE.GET_RSS_KEY])) return undefined;
    const words = this.mailbox.words.slice(1, 1 + KEY_WORDS);
    return new Uint8Array(words.buffer);
  }

  /** Whether the physical function lets frames pass; undefined when it does not say. */
  isEnabled(): boolean | undefined {
    if (this.api < MAILBOX_API.V1_2 || !this.ask([MESSAGE.GET_LINK_STATE])) return undefined;
    return this.mailbox.words[1]! !== 0;
  }

  private ask(message: readonly number[]): boolean {
    const answer = this.mailbox.request(message);
    this.note(answer);
    return answer === ANSWER.ACK;
  }

  private note(answer: number): void {
    if (answer === ANSWER.NACK) this.counters.mailboxRefused++;
    else if (answer === ANSWER.RESET) this.wantsReset = true;
    else if (answer === ANSWER.NONE) {
      this.counters.mailboxUnanswered++;
      this.isSilent = true;
    }
  }
}

const ONE_PAIR: QueuesAnswer = { tx: 1, rx: 1, hidesTag: false };
