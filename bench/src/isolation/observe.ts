import { createHash } from 'node:crypto';
import { VTD_REG, type VtdUnit } from '@ringwire/iommu';
import type { FunctionKind } from '../claims/function-kind.js';
import { OUTSIDE } from '../claims/station.js';
import type { Deed } from './deeds.js';
import { HostileFunction } from './hostile-function.js';
import { IsolationCard, type Timed } from './isolation-card.js';
import { BEYOND, type Flow, type FlowReport, probe } from './probes.js';
import { Random } from './random.js';

/** Whose neighbour the hostile function, the last one, is. */
export const NEIGHBOURS: readonly FunctionKind[] = ['virtio', '82599', 'vendor-b'];
/** How often something is done, in µs. */
const EVERY = 4;
/** What is on its way when the last frame was sent arrives in this time, in µs. */
const REST = 100;

const HOSTILE = NEIGHBOURS.length;
const BROADCAST = new Uint8Array(6).fill(0xff);
/** Broadcasts that a hostile function may send, per second. */
const STORM_LIMIT = 20_000;

/** What the card reads from its host, in Mbit/s: PCI Express 2.0 x8, the 82599's. */
const HOST_MBITS = 32_000;

/** Between neighbours, and between them and the wire. A neighbour sends less than its share of the wire. */
const OWN_FLOWS: readonly Flow[] = NEIGHBOURS.flatMap((_, vf) => [
  { from: vf, to: BEYOND, every: 11 + 2 * vf, bytes: [60, 1514, 590] },
  { from: vf, to: (vf + 1) % NEIGHBOURS.length, every: 13 + 2 * vf, bytes: [1514, 60] },
  { from: BEYOND, to: vf, every: 17 + 2 * vf, bytes: [60, 900] },
]);

/**
 * To the hostile function, which may have no place for them. A reset 82599 has lost its address until its driver asks for it:
 * what neighbours send there leaves by the wire then, as to any station that nobody is. So it is sent to from outside alone.
 */
function flowsTo(kind: FunctionKind): Flow[] {
  const froms = kind === '82599' ? [BEYOND] : [BEYOND, ...NEIGHBOURS.keys()];
  return froms.map((from) => ({ from, to: HOSTILE, every: 19 + from, bytes: [60, 1514] }));
}

/** Bytes in a ns: 10 Gbit/s, and the host's. */
const WIRE_RATE = 1.25;
const HOST_RATE = HOST_MBITS / 8000;
/** Bytes that wait in front of the wire, at most; what each may send in a round; the longest frame, on the wire. */
const [WAITING, ROUND, LONGEST] = [16_384, 3076, 1538];

/**
 * The arbiter's guarantee, in ns, to whoever sends less than its share. At the wire, and before at the host's bus, a frame
 * waits for what was let through before it and for a round of each of the others, who may be a frame over; and it goes
 * itself, behind one of its own ring. So does a frame to another function that is in the ring behind one to the wire.
 * Nothing else makes a frame wait.
 */
export const MOST_NANOSECONDS: number =
  (WAITING + LONGEST + NEIGHBOURS.length * (ROUND + LONGEST) + 2 * LONGEST) * (1 / WIRE_RATE + 1 / HOST_RATE);

export interface Observation {
  /** Between neighbours, and between them and the wire. */
  readonly flows: readonly FlowReport[];
  /** Frames to the hostile function that were taken from their senders, by flow. */
  readonly toHostile: readonly number[];
  /** Virtual functions that the IOMMU blames for faults; -1: somebody else. */
  readonly blamed: readonly number[];
  /** Of each neighbour, all that it could see: RAM, registers, configuration, counters, messages. As text, by what it is. */
  readonly neighbours: readonly Readonly<Record<string, string>>[];
  /** How often the card noticed that something is wrong with the hostile function. */
  readonly noticed: number;
}

/** To the wire, or to everybody, whose limit the host has set. */
interface Flood {
  readonly bytes: number;
  readonly to: 'wire' | 'everybody';
}

/** How one function is hostile. */
export interface Hostility {
  readonly kind: FunctionKind;
  readonly rings: 'split' | 'packed';
  /** Undefined: it has a driver, and nothing to do. */
  readonly deed?: Deed | undefined;
  /** What it sends, over and over, by a driver that keeps all rules. */
  readonly flood?: Flood | undefined;
  readonly microseconds: number;
  readonly seed?: number;
}

/** Watch neighbours while one function does its worst. */
export function observe({ kind, rings, deed, flood, microseconds, seed = 1 }: Hostility): Observation {
  const card = new IsolationCard({ vfs: [...NEIGHBOURS, kind], rings, arbiter: { hostRate: HOST_MBITS } });
  const messages = NEIGHBOURS.map((_, vf) => countMessages(card, vf));
  card.arbiter.setStorm(card.machine.guests[HOSTILE]!.port.number, { broadcast: STORM_LIMIT });
  if (flood !== undefined)
    card.stations[HOSTILE]!.load = { to: flood.to === 'wire' ? OUTSIDE : BROADCAST, bytes: flood.bytes };
  const end = card.clock.now() + microseconds;
  const doing =
    deed === undefined ? undefined : new Doing(new HostileFunction(card, HOSTILE, new Random(seed)), deed, end);
  if (doing !== undefined) card.timed.push(doing);
  else if (flood === undefined) card.stations[HOSTILE] = undefined;
  const probes = probe(card, [...OWN_FLOWS, ...flowsTo(kind)]);
  card.run(microseconds);
  // Nobody sends any more; what is under way arrives.
  card.timed.length = 0;
  const station = card.stations[HOSTILE];
  if (station !== undefined) station.load = undefined;
  card.run(REST);
  return {
    flows: probes.slice(0, OWN_FLOWS.length).map(({ report }) => report),
    toHostile: probes.slice(OWN_FLOWS.length).map(({ report }) => report.sent),
    blamed: blamed(card.machine.iommu).map((id) => card.machine.guests.findIndex(({ routingId }) => routingId === id)),
    neighbours: NEIGHBOURS.map((_, vf) => ({ ...snapshot(card, vf), messages: String(messages[vf]!.count) })),
    noticed: (doing?.broken ?? 0) + noticedOf(card, HOSTILE),
  };
}

/** Does something at its times. */
class Doing implements Timed {
  at: number;
  /** Turns at the beginning of which the function was broken. */
  broken = 0;
  private readonly hostile: HostileFunction;
  private readonly deed: Deed;
  private readonly end: number;
  private turns = 0;

  constructor(hostile: HostileFunction, deed: Deed, end: number) {
    this.hostile = hostile;
    this.deed = deed;
    this.end = end;
    this.at = end < EVERY ? end : Math.min(end, EVERY);
  }

  turn(now: number): void {
    this.at = now + EVERY < this.end ? now + EVERY : Number.POSITIVE_INFINITY;
    if (this.hostile.isBroken) this.broken++;
    this.deed.act(this.hostile, this.turns++);
  }
}

function countMessages(card: IsolationCard, vf: number): { count: number } {
  const counter = { count: 0 };
  const guest = card.machine.guests[vf]!;
  const { onMessage } = guest;
  guest.onMessage = (data) => {
    counter.count++;
    onMessage(data);
  };
  return counter;
}

/** All of a function and its guest that there is to see. Reading changes some of it: the last thing that is done. */
function snapshot(card: IsolationCard, vf: number): Record<string, string> {
  const { machine } = card;
  const guest = machine.guests[vf]!;
  const { ramAt, ramBytes, port } = guest;
  const access = machine.access(guest);
  const ram = machine.memory.u8.slice(ramAt, ramAt + ramBytes);
  const words = (read: (at: number) => number, bytes: number): string =>
    Array.from({ length: bytes / 4 }, (_, i) => read(4 * i).toString(16)).join();
  const { counters } = port as unknown as { readonly counters: unknown };
  return {
    ram: createHash('sha1').update(ram).digest('hex'),
    config: words((at) => access.configRead(at, 4), 0x400),
    registers: words((at) => access.barRead(0, at, 4), 0x6000),
    counters: JSON.stringify(counters),
    gate: JSON.stringify(card.arbiter.countersOf(port.number)),
    device: JSON.stringify(deviceCounters(card, vf)),
  };
}

function deviceCounters(card: IsolationCard, vf: number): unknown {
  const personality = personalityOf(card, vf) as { readonly statistics?: unknown; readonly counters?: unknown };
  return [personality.statistics, personality.counters];
}

function personalityOf({ machine }: IsolationCard, vf: number): unknown {
  const { kind, index } = machine.guests[vf]!;
  return machine.nics[[...new Set(machine.guests.map((one) => one.kind))].indexOf(kind)]!.personalityOf(index);
}

function noticedOf(card: IsolationCard, vf: number): number {
  const { statistics, counters } = personalityOf(card, vf) as {
    readonly statistics?: { readonly misbehaviors: number };
    readonly counters?: { readonly badEntries: number };
  };
  return statistics?.misbehaviors ?? counters?.badEntries ?? 0;
}

/** Requesters in fault records that nobody took, each once. VT-d 4.0 §11.4.2 CAP, §11.4.14 FRCD */
function blamed(unit: VtdUnit): number[] {
  const capabilities = unit.read(VTD_REG.CAP.at, 8);
  const first = Number((capabilities >> 24n) & 0x3ffn) * 16;
  const records = Number((capabilities >> 40n) & 0xffn) + 1;
  const found = new Set<number>();
  for (let record = first; record < first + 16 * records; record += 16)
    if (unit.read(record + 12, 4) >= 0x8000_0000) found.add(unit.read(record + 8, 4) & 0xffff);
  return [...found];
}
