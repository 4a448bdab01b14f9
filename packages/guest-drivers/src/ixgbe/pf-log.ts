import { MAILBOX_API, MESSAGE, MESSAGE_WORD, VLAN_MESSAGE } from '@ringwire/nic-spec/ixgbe';
import { macOfWords, showMac } from './mac-address.js';
import { ACCEPT_MODES } from './vf-wishes.js';

/** One exchange of the mailbox: a request with what was decided, or what the physical function said by itself. */
export interface MailboxEntry {
  /** Milliseconds of the driver's clock. */
  readonly at: number;
  readonly vf: number;
  /** Words of the request; empty where there was none. */
  readonly request: readonly number[];
  readonly verdict: 'granted' | 'refused' | 'told';
  /** Why, in words for people. */
  readonly reason: string;
  /** Words of the answer, or of the message. */
  readonly answer: readonly number[];
}

const NAMES = new Map<number, string>(Object.entries(MESSAGE).map(([name, type]) => [type, name]));
const VERSIONS = new Map<number, string>(
  Object.entries(MAILBOX_API).map(([name, value]) => [value, name.slice(1).replace('_', '.')]),
);

/** The last exchanges, oldest first: at most so many as it was made for. */
export class MailboxLog {
  private readonly capacity: number;
  private readonly kept: MailboxEntry[] = [];

  constructor(capacity: number) {
    this.capacity = capacity;
  }

  /** A copy. */
  get entries(): readonly MailboxEntry[] {
    return this.kept.slice();
  }

  add(entry: MailboxEntry): void {
    if (this.kept.length === this.capacity) this.kept.shift();
    this.kept.push(entry);
  }
}

/** An exchange as lines to be read, such as `VF 2 → PF  SET_VLAN add 100` and `PF → VF 2  ACK CTS SET_VLAN: a member now`. */
export function describeMail({ vf, request, reason, answer }: MailboxEntry): readonly string[] {
  const said = `PF → VF ${vf}  ${flagsOf(answer[0] ?? 0)}${nameOf(answer[0] ?? 0)}: ${reason}`;
  return request.length === 0 ? [said] : [`VF ${vf} → PF  ${nameOf(request[0]!)}${argumentsOf(request)}`, said];
}

function flagsOf(word: number): string {
  const { ACK, NACK, CTS } = MESSAGE_WORD;
  const flag = (bit: number, name: string): string => ((word & bit) !== 0 ? `${name} ` : '');
  return flag(ACK, 'ACK') + flag(NACK, 'NACK') + flag(CTS, 'CTS');
}

function nameOf(word: number): string {
  const type = word & MESSAGE_WORD.TYPE_MASK;
  return NAMES.get(type) ?? `message 0x${type.toString(16)}`;
}

function argumentsOf(words: readonly number[]): string {
  const info = (words[0]! >>> MESSAGE_WORD.INFO_SHIFT) & MESSAGE_WORD.INFO_MASK;
  const [, first = 0, second = 0] = words;
  switch (words[0]! & MESSAGE_WORD.TYPE_MASK) {
    case MESSAGE.SET_MAC_ADDR:
      return ` ${showMac(macOfWords(first, second))}`;
    case MESSAGE.SET_MACVLAN:
      return info === 0 ? ' none' : ` ${info}: ${showMac(macOfWords(first, second))}`;
    case MESSAGE.SET_MULTICAST:
      return ` ${info} hashes`;
    case MESSAGE.SET_VLAN:
      return ` ${info === VLAN_MESSAGE.ADD ? 'add' : 'remove'} ${first & VLAN_MESSAGE.VLAN_MASK}`;
    case MESSAGE.SET_LPE:
      return ` ${first} bytes`;
    case MESSAGE.API_NEGOTIATE:
      return ` ${VERSIONS.get(first) ?? first}`;
    case MESSAGE.UPDATE_XCAST_MODE:
      return ` ${ACCEPT_MODES[first] ?? first}`;
    default:
      return '';
  }
}
