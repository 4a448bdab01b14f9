import { MESSAGE, MESSAGE_WORD, RESET_ANSWER } from '@ringwire/nic-spec/ixgbe';
import { wordsOfMac } from './mac-address.js';
import type { PfCard } from './pf-card.js';
import type { MailboxLog } from './pf-log.js';
import { PfMailbox } from './pf-mailbox.js';
import { PfPolicy, type Verdict } from './pf-policy.js';
import type { IxgbePfCounters, IxgbePfSetup } from './pf-setup.js';
import type { VfState } from './pf-vf-state.js';
import type { Registers } from './registers.js';

const { ACK, NACK, CTS } = MESSAGE_WORD;
/** Type of groups' hashes in MCSTCTRL: bits 47:36 of the address. */
const HASH_TYPE = 0;
const NO_WORDS: readonly number[] = [];

/** Where the mail of virtual functions is read, decided on, answered and noted. */
export class PfMailRoom {
  readonly log: MailboxLog;
  private readonly mailbox: PfMailbox;
  private readonly policy: PfPolicy;
  private readonly card: PfCard;
  private readonly setup: IxgbePfSetup;
  private readonly counters: IxgbePfCounters;

  constructor(registers: Registers, card: PfCard, log: MailboxLog, setup: IxgbePfSetup, counters: IxgbePfCounters) {
    this.mailbox = new PfMailbox(registers);
    this.policy = new PfPolicy(card);
    this.card = card;
    this.log = log;
    this.setup = setup;
    this.counters = counters;
  }

  /** Look after one function: its reset, one request of it, and what it took. */
  serve(state: VfState): void {
    const { mailbox, counters } = this;
    if (mailbox.takesReset(state.vf)) {
      counters.vfResets++;
      this.card.reset(state);
    }
    if (mailbox.takesRequest(state.vf) && mailbox.read(state.vf)) this.answer(state);
    // One that reads mail although it is to reset first is told so again.
    if (mailbox.takesAck(state.vf) && !state.isClearToSend) mailbox.write(state.vf, [NACK]);
  }

  /** Say to a function that something changed; one that may send asks what. */
  ping(state: VfState, reason: string): void {
    const word = (MESSAGE.PF_CONTROL | (state.isClearToSend ? CTS : 0)) >>> 0;
    this.mailbox.write(state.vf, [word]);
    this.note(state, NO_WORDS, 'told', reason, [word]);
  }

  /** Let the function's driver begin anew: until then nothing else is answered. */
  restart(state: VfState, reason: string): void {
    if (!state.isClearToSend) return;
    state.isClearToSend = false;
    this.ping(state, reason);
  }

  private answer(state: VfState): void {
    const { words } = this.mailbox;
    const request = Array.from(words);
    // An answer of ours that nobody took is no request.
    if ((words[0]! & (ACK | NACK)) !== 0) return;
    this.counters.requests++;
    if (words[0] === MESSAGE.VF_RESET) {
      this.answerReset(state, request);
      return;
    }
    if (!state.isClearToSend) {
      this.reply(state, request, { isGranted: false, reason: 'it has not reset' }, [(words[0]! | NACK) >>> 0]);
      return;
    }
    const verdict = this.policy.decide(state, words);
    const first = (words[0]! | CTS | (verdict.isGranted ? ACK : NACK)) >>> 0;
    this.reply(state, request, verdict, [first, ...(verdict.words ?? request.slice(1))]);
  }

  private answerReset(state: VfState, request: readonly number[]): void {
    const { card } = this;
    card.reset(state);
    state.isClearToSend = true;
    card.applyEnable(state);
    const { mac } = state.settings;
    const words = new Array<number>(RESET_ANSWER.WORDS).fill(0);
    words[0] = (MESSAGE.VF_RESET | (mac === undefined ? NACK : ACK)) >>> 0;
    if (mac !== undefined) [words[RESET_ANSWER.MAC_WORD], words[RESET_ANSWER.MAC_WORD + 1]] = wordsOfMac(mac);
    words[RESET_ANSWER.MULTICAST_TYPE_WORD] = HASH_TYPE;
    // Without an address of the host's the answer is a refusal by its form: the driver chooses one.
    const reason = mac === undefined ? 'reset; no address is set' : 'reset; the address is the one that the host set';
    this.reply(state, request, { isGranted: true, reason }, words);
  }

  private reply(state: VfState, request: readonly number[], verdict: Verdict, answer: readonly number[]): void {
    if (!verdict.isGranted) this.counters.requestsRefused++;
    this.mailbox.write(state.vf, answer);
    this.note(state, trim(request), verdict.isGranted ? 'granted' : 'refused', verdict.reason, answer);
  }

  private note(
    state: VfState,
    request: readonly number[],
    verdict: 'granted' | 'refused' | 'told',
    reason: string,
    answer: readonly number[],
  ): void {
    const entry = { at: this.setup.now(), vf: state.vf, request, verdict, reason, answer: trim(answer) };
    this.log.add(entry);
    this.setup.events.mailbox?.(entry);
  }
}

/** Without zeros at the end. */
function trim(words: readonly number[]): readonly number[] {
  let count = words.length;
  while (count > 1 && words[count - 1] === 0) count--;
  return words.slice(0, count);
}
