import { RULES_MAX } from './check-rules.js';
import { NO_DROP } from './drop-reason.js';

/** How a receiver gets a frame. */
export const FORM = {
  /** As it is in the switch: with the tag of a port VLAN, if its sender has one. */
  WHOLE: 0,
  /** Without its first tag, which the receiver does not know of. */
  WITHOUT_TAG: 1,
} as const;

/** What is to become of one frame, reused: why it goes nowhere, and who gets it, or copies of it nevertheless. */
export class Decision {
  /** An `ESWITCH_DROP`, or NO_DROP. */
  drop = 0;
  count = 0;
  /** Indexes of the flow rules that matched. */
  readonly rules: Uint16Array = new Uint16Array(RULES_MAX);
  ruleCount = 0;
  /** Ports that get a copy by rules that matched. */
  readonly mirrors: Uint16Array = new Uint16Array(RULES_MAX);
  mirrorCount = 0;
  /** It is to a station that the switch does not know. */
  isUnknown = false;
  /** Number of each receiver, which `FORM` it gets, and the `ESWITCH_DROP` for which it does not, or NO_DROP. */
  readonly port: Uint16Array;
  readonly form: Uint8Array;
  readonly portDrop: Int8Array;

  /** @param ports most receivers */
  constructor(ports: number) {
    this.port = new Uint16Array(ports);
    this.form = new Uint8Array(ports);
    this.portDrop = new Int8Array(ports);
  }

  clear(): void {
    this.drop = NO_DROP;
    this.count = 0;
    this.ruleCount = 0;
    this.mirrorCount = 0;
    this.isUnknown = false;
  }

  add(port: number, form: number, drop: number): void {
    const at = this.count++;
    this.port[at] = port;
    this.form[at] = form;
    this.portDrop[at] = drop;
  }

  has(port: number): boolean {
    for (let at = 0; at < this.count; at++) if (this.port[at] === port) return true;
    return false;
  }
}

/** What is noted of a port that gets the frame. */
export const DELIVERED_NOTE = 'delivered';

/** Told of every step of a decision, for people: see `explain`. */
export interface DecisionTrace {
  /**
   * @param rule what was looked at
   * @param outcome what it came to
   * @param port that it is about
   */
  note(rule: string, outcome: string, port: number): void;
}
