import { stationMac } from '../claims/card-machine.js';
import { OUTSIDE } from '../claims/station.js';
import type { IsolationCard, Timed } from './isolation-card.js';

/** In place of a virtual function: beyond the wire. */
export const BEYOND = -1;
const MARK_AT = 14;
/** Behind the flow's number: no other frame here has it. */
const MARK = 0xa5;

/** Frames that one sends to another, at a pace of its own. */
export interface Flow {
  /** Virtual functions, or {@link BEYOND}. */
  readonly from: number;
  readonly to: number;
  /** From one frame to the next, in µs. */
  readonly every: number;
  /** Lengths, in turn; 60 or more. */
  readonly bytes: readonly number[];
}

/** What became of the frames of a flow. */
export interface FlowReport {
  readonly name: string;
  sent: number;
  /** Not taken, because the sender's ring was full. */
  refused: number;
  /** Of each that arrived, in order: virtual ns from the sender's ring to the receiver's driver, or the wire's last bit. */
  readonly nanoseconds: number[];
  /** Turns of the card that each took. */
  readonly rounds: number[];
  /** Arrived, and not as they were sent, or out of turn. */
  wrong: number;
}

/** A flow on a card: sends, and looks at what arrives. */
export class Probe implements Timed {
  readonly report: FlowReport;
  at: number;
  private readonly card: IsolationCard;
  private readonly flow: Flow;
  private readonly number: number;
  private readonly sentAt: number[] = [];
  private readonly sentIn: number[] = [];
  private arrived = 0;

  /** @param number of the flow, below 256: part of its frames */
  constructor(card: IsolationCard, flow: Flow, number: number) {
    this.card = card;
    this.flow = flow;
    this.number = number;
    this.at = card.clock.now() + flow.every;
    const name = `${nameOf(card, flow.from)} to ${nameOf(card, flow.to)}`;
    this.report = { name, sent: 0, refused: 0, nanoseconds: [], rounds: [], wrong: 0 };
  }

  turn(now: number): void {
    const { flow, card, report } = this;
    this.at += flow.every;
    const frame = this.frameOf(report.sent);
    const isTaken = flow.from === BEYOND ? card.outside.send(frame) : card.stations[flow.from]!.sendOne(frame);
    if (!isTaken) {
      report.refused++;
      return;
    }
    this.sentAt.push(now);
    this.sentIn.push(card.rounds);
    report.sent++;
  }

  /** Whether a frame is one of this flow. */
  owns(bytes: Uint8Array): boolean {
    return bytes.length >= MARK_AT + 6 && bytes[MARK_AT] === this.number && bytes[MARK_AT + 1] === MARK;
  }

  take(bytes: Uint8Array): void {
    const { report, card } = this;
    const which = this.arrived++;
    if (which >= report.sent + 1 || !sameBytes(bytes, this.frameOf(which))) report.wrong++;
    report.nanoseconds.push(Math.round((card.clock.now() - this.sentAt[which]!) * 1000));
    report.rounds.push(card.rounds - this.sentIn[which]!);
  }

  private frameOf(which: number): Uint8Array {
    const { flow } = this;
    const bytes = Uint8Array.from(
      { length: flow.bytes[which % flow.bytes.length]! },
      (_, at) => (at * 7 + which * 13 + this.number) & 0xff,
    );
    bytes.set(macOf(flow.to));
    bytes.set(macOf(flow.from), 6);
    bytes.set([0x88, 0xb5, this.number, MARK, which >>> 24, which >>> 16, which >>> 8, which], 12);
    return bytes;
  }
}

/** Put flows on a card. @returns their probes, in order */
export function probe(card: IsolationCard, flows: readonly Flow[]): Probe[] {
  const probes = flows.map((flow, number) => new Probe(card, flow, number));
  card.timed.push(...probes);
  const tell = (to: number) => (bytes: Uint8Array) => {
    probes.find((one, number) => flows[number]!.to === to && one.owns(bytes))?.take(bytes);
  };
  card.outside.heard = tell(BEYOND);
  for (const [vf, station] of card.stations.entries()) if (station !== undefined) station.heard = tell(vf);
  return probes;
}

/** The value that so large a part of a distribution does not exceed. @param part above 0, up to 1 */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

const macOf = (vf: number): Uint8Array => (vf === BEYOND ? OUTSIDE : stationMac(vf + 1));
const nameOf = ({ machine }: IsolationCard, vf: number): string =>
  vf === BEYOND ? 'wire' : `${machine.guests[vf]!.kind} ${vf}`;
const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, at) => byte === b[at]);
