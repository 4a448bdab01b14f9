import { parentPort, workerData } from 'node:worker_threads';
import { FunctionServer, type LinkPlace } from '@ringwire/device-thread';
import { ESWITCH_DROP, type Eswitch, TransmitArbiter, unaccountedFrames } from '@ringwire/eswitch';
import { HostMemory, type WasmMemory } from '@ringwire/guest-memory';
import { CardMachine, type FunctionKind, ixgbeStation, WireEnd } from 'bench/card';
import { type FunctionPlan, RAM_BYTES, SAMPLE_MS, SAMPLES_MOST, WORD } from './topology.js';

/** What the card's thread is given. */
export interface CardJob {
  readonly plans: readonly FunctionPlan[];
  readonly memory: WasmMemory;
  /** Of the virtual functions, in their order. */
  readonly places: readonly LinkPlace[];
  readonly words: Int32Array;
  /** For each sample, and each virtual function, bytes on the wire that it sent so far. */
  readonly samples: Float64Array;
}

/** What went through one port. */
export interface PortResult {
  readonly name: string;
  readonly inFrames: number;
  readonly outFrames: number;
  readonly outBytes: number;
  readonly drops: Readonly<Record<string, number>>;
}

/** What the card says when it is over. */
export interface CardResult {
  readonly ports: readonly PortResult[];
  /** Frames that neither went anywhere nor were lost for a reason: none. */
  readonly unaccounted: number;
}

const BUDGET = 64;
/** Bytes that go at once, per Mbit/s of a limit: what comes in 20 ms, which a thread may be away for on a busy machine. */
const BURST_BYTES = 2500;
const { plans, memory: shared, places, words, samples } = workerData as CardJob;

const now = (): number => performance.now() * 1000;
const arbiter = new TransmitArbiter({ now, lineRate: 10_000 });
const server = new FunctionServer(places);
const plan = { vfs: plans.map(({ kind }) => kind), now, gate: arbiter, ramBytes: RAM_BYTES };
const machine = new CardMachine(plan, HostMemory.adopt(shared));
const { eswitch, hosts, guests } = machine;
eswitch.wire.backend.attach(new WireEnd());

// The host: its driver of the 82599 runs here, beside the card; limits of other functions it tells the switch itself.
const host82599 = hosts.find(({ kind }) => kind === '82599')!;
const { station, pf } = ixgbeStation(
  {
    access: machine.access(host82599),
    dma: machine.dma(host82599),
    mac: host82599.mac,
    now,
    pause: () => void machine.step(BUDGET),
  },
  count('82599'),
);
host82599.onMessage = (data) => station.message(data);
for (const host of hosts) machine.enable(host);
for (const [vf, guest] of guests.entries()) {
  guest.onMessage = (data) => server.message(vf, 0xfee0_0000, 0, data, data);
  const { maxTxRate } = plans[vf]!;
  if (maxTxRate > 0) arbiter.setPort(guest.port.number, { burst: maxTxRate * BURST_BYTES });
  if (guest.kind !== '82599') guest.port.configure({ maxTxRate });
  else if (maxTxRate > 0) pf!.setVf(guest.index, { maxTxRate });
}

let nextSample = 0;
parentPort?.postMessage('ready');
server.run({
  functions: guests.map((guest) => machine.access(guest)),
  step: () => {
    if (Atomics.load(words, WORD.GO) === 1) sample();
    return station.turn() + machine.step(BUDGET);
  },
  // Asleep or not, rates are written down.
  deadline: () => Math.min(machine.deadline(), now() + SAMPLE_MS * 1000),
});
const result: CardResult = { ports: eswitch.ports.map(resultOf), unaccounted: unaccountedFrames(eswitch.ports) };
parentPort?.postMessage(result);

function count(kind: FunctionKind): number {
  return plans.filter((each) => each.kind === kind).length;
}

function sample(): void {
  const time = performance.now();
  const at = Atomics.load(words, WORD.SAMPLES);
  if (time < nextSample || at === SAMPLES_MOST) return;
  nextSample = time + SAMPLE_MS;
  const row = at * (guests.length + 1);
  samples[row] = time;
  for (const [vf, { port }] of guests.entries()) samples[row + 1 + vf] = arbiter.countersOf(port.number).wireBytes;
  Atomics.store(words, WORD.SAMPLES, at + 1);
}

function resultOf({ number, counters }: Eswitch['ports'][number]): PortResult {
  const { inFrames, outFrames, outBytes } = counters;
  const vf = guests.find(({ port }) => port.number === number);
  const place = hosts.findIndex(({ port }) => port.number === number);
  const name = number === 0 ? 'wire' : vf === undefined ? `PF ${place}` : `VF ${vf.vf}`;
  const drops: Record<string, number> = {};
  for (const [reason, index] of Object.entries(ESWITCH_DROP))
    if (counters.drops[index]! > 0) drops[reason] = counters.drops[index]!;
  return { name, inFrames, outFrames, outBytes, drops };
}
