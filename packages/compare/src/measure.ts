import { VirtioError } from '@ringwire/virtio-spec';
import type { Architecture, Machine, Station } from './architecture.js';
import { milliseconds } from './clock.js';
import type { Ledger } from './ledger.js';

const HERE = 'compareArchitectures';
const NUMBER_AT = 14;
const HEADER_BYTES = 18;
/** Frames under way: as many as the smallest ring of any driver here holds. */
const WINDOW = 128;
const BURST = 32;
const PINGS = 2000;
const WARM_UP = 4000;
/** Turns without a frame after which one is lost. */
const PATIENCE = 10_000;

/** How much is measured, of what. */
export interface CompareOptions {
  /** Frames in each measurement; 20000 unless given. */
  readonly frames?: number;
  /** Bytes of a frame, 60 to 1514; 60 unless given: 64 with its check sequence. */
  readonly size?: number;
  readonly rings?: 'split' | 'packed';
}

/** What one architecture costs, per frame where it says nothing else. */
export interface Comparison {
  readonly name: string;
  readonly title: string;
  readonly kicks: number;
  readonly interrupts: number;
  readonly traps: number;
  readonly copies: number;
  readonly copiedBytes: number;
  readonly dmaAccesses: number;
  readonly framesPerSecond: number;
  /** Guests, host and card, all in one thread here. */
  readonly nsPerFrame: number;
  /** Of that, in software of the host: traps, device model, switch, copies. What a card does is not counted. */
  readonly hostNsPerFrame: number;
  /** µs of a frame there and one back, one at a time. */
  readonly latencyP50: number;
  readonly latencyP99: number;
  /** Frames that did not arrive, or not as they were sent. */
  readonly lost: number;
  readonly guestDrivers: readonly string[];
  readonly migratable: boolean;
  /** Why not. */
  readonly blocker: string | null;
}

/** @throws VirtioError for options that cannot be; Error for a frame that was lost or damaged */
export function compareArchitectures(
  architectures: readonly Architecture[],
  options: CompareOptions = {},
): Comparison[] {
  const { frames = 20_000, size = 60, rings = 'split' } = options;
  if (!Number.isInteger(frames) || frames < 1) throw new VirtioError('frames', frames, '1 or more', HERE);
  if (!Number.isInteger(size) || size < 60 || size > 1514)
    throw new VirtioError('size', size, '60 to 1514 bytes', HERE);
  return architectures.map((architecture) => measure(architecture, frames, size, rings));
}

function measure(architecture: Architecture, frames: number, size: number, rings: 'split' | 'packed'): Comparison {
  const machine = architecture.open(rings);
  const run = new Run(machine, size);
  // Code that runs hot is compiled meanwhile, and the switch learns both addresses.
  run.ping(1);
  run.send(Math.min(frames, WARM_UP));
  const before = { ...machine.ledger };
  const begun = milliseconds();
  const hostBegun = run.hostMs;
  run.send(frames);
  const ms = milliseconds() - begun;
  const after = { ...machine.ledger };
  const hostMs = run.hostMs - hostBegun + after.trapMs - before.trapMs;
  const per = (field: keyof Ledger): number => (after[field] - before[field]) / frames;
  const latencies = run.ping(PINGS).sort();
  const at = (share: number): number => latencies[Math.floor(share * (latencies.length - 1))]! * 1000;
  return {
    name: architecture.name,
    title: architecture.title,
    kicks: per('kicks'),
    interrupts: per('interrupts'),
    traps: per('traps'),
    copies: per('copies'),
    copiedBytes: per('copiedBytes'),
    dmaAccesses: per('dmaAccesses'),
    framesPerSecond: (frames / ms) * 1000,
    nsPerFrame: (ms / frames) * 1e6,
    hostNsPerFrame: (hostMs / frames) * 1e6,
    latencyP50: at(0.5),
    latencyP99: at(0.99),
    lost: run.lost,
    guestDrivers: architecture.guestDrivers,
    migratable: architecture.blocker === undefined,
    blocker: architecture.blocker ?? null,
  };
}

/** Frames with numbers, from one guest to the other. */
class Run {
  /** Time that was spent in software of the host. */
  hostMs = 0;
  lost = 0;
  private readonly machine: Machine;
  private readonly frame: Uint8Array;
  private readonly view: DataView;
  private readonly answer: Uint8Array;
  private arrived = 0;
  private answered = 0;
  private expected = 0;

  constructor(machine: Machine, size: number) {
    this.machine = machine;
    const { from, to } = machine;
    this.frame = numbered(size, to, from);
    this.view = new DataView(this.frame.buffer);
    this.answer = numbered(size, from, to);
    to.onFrame = (frame) => this.take(frame);
    from.onFrame = () => {
      this.answered++;
    };
  }

  send(frames: number): void {
    const { machine, view, frame } = this;
    const end = this.expected + frames;
    let next = this.expected;
    let idle = 0;
    while (this.expected < end) {
      const before = this.expected;
      const most = Math.min(end, next + BURST, this.expected + WINDOW);
      while (next < most) {
        view.setUint32(NUMBER_AT, next);
        if (!machine.from.send(frame)) break;
        next++;
      }
      machine.from.flush();
      this.turn();
      idle = this.expected === before ? idle + 1 : 0;
      if (idle > PATIENCE) throw new Error(`frame ${this.expected} did not arrive`);
    }
  }

  /** One frame there, and one back. @returns how long each took, in ms */
  ping(count: number): Float64Array {
    const { machine, view, frame, answer } = this;
    const times = new Float64Array(count);
    for (let n = 0; n < count; n++) {
      const begun = milliseconds();
      const { arrived, answered } = this;
      view.setUint32(NUMBER_AT, this.expected);
      this.until(() => machine.from.send(frame));
      machine.from.flush();
      this.until(() => this.arrived > arrived);
      this.until(() => machine.to.send(answer));
      machine.to.flush();
      this.until(() => this.answered > answered);
      times[n] = milliseconds() - begun;
    }
    return times;
  }

  private until(holds: () => boolean): void {
    for (let turns = 0; !holds(); turns++) {
      if (turns > PATIENCE) throw new Error('a frame did not arrive');
      this.turn();
    }
  }

  private turn(): void {
    const { machine } = this;
    machine.card();
    const begun = milliseconds();
    machine.host();
    this.hostMs += milliseconds() - begun;
    machine.from.turn();
    machine.to.turn();
  }

  /** Every byte is compared. Addresses apart, a frame is its number and a pattern. */
  private take(got: Uint8Array): void {
    const { frame } = this;
    const number = new DataView(got.buffer, got.byteOffset).getUint32(NUMBER_AT);
    let isWhole = got.length === frame.length && number === this.expected;
    for (let at = HEADER_BYTES; at < got.length && isWhole; at++) isWhole = got[at] === frame[at];
    if (!isWhole) this.lost++;
    this.arrived++;
    this.expected = number + 1;
  }
}

function numbered(size: number, to: Station, from: Station): Uint8Array {
  const frame = Uint8Array.from({ length: size }, (_, at) => at * 7);
  frame.set(to.mac);
  frame.set(from.mac, 6);
  frame.set([0x88, 0xb5], 12);
  return frame;
}
