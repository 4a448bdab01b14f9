import type { HostMemory } from '@ringwire/guest-memory';
import type { QueuePlace } from '../migration/device-image.js';
import { type HandoverClaim, sharedClaim } from '../migration/handover-claim.js';
import { MigrationSource, type MoveReport } from '../migration/migration-source.js';
import { MigrationTarget } from '../migration/migration-target.js';
import type { PreCopyRules } from '../migration/pre-copy.js';
import { comparedWrites, type WrittenSource } from '../migration/written-sources.js';
import type { HostRange, VdpaDevice } from '../vdpa-device.js';
import { isVdpaRefusal, type VdpaParent } from '../vdpa-parent.js';
import { BrokenPromise } from './contract-checks.js';
import { ContractDriver, type ContractDriverOptions } from './contract-driver.js';
import { CONTRACT_RAM_BYTES } from './contract-machine.js';
import { MovingRam } from './moving-ram.js';
import type { MovingWire } from './moving-wire.js';

const GPA = 0x10_0000;
/** Turns of a move that has an end. */
const TURNS = 20_000;

/** A place where the guest can be: a vendor's parent, and the port of the wire behind its devices. */
export interface MovingPlace {
  readonly parent: VdpaParent;
  readonly port: number;
}

/** What a {@link MovingGuest}'s driver wants, and how much memory it has. */
export interface MovingGuestOptions extends ContractDriverOptions {
  /** Of the guest's RAM; `CONTRACT_RAM_BYTES` unless given, of which a driver without a control queue uses the first 0x8_0000. */
  readonly bytes?: number;
}

/** Thrown where a program dies. */
export class Killed extends Error {
  override readonly name = 'Killed';
}

/** How one move is to go. */
export interface MovePlan {
  /** Frames that the guest sends at each turn of the move. */
  readonly frames?: number;
  /** Called with each turn, while the guest is at the source and runs. */
  readonly during?: (turn: number) => void;
  readonly rules?: Partial<PreCopyRules>;
  /** Pages of a turn. */
  readonly pages?: number;
  /** At every point at which a program can die: throws {@link Killed} where this one does. */
  readonly point?: (side: 'source' | 'target') => void;
  /** Bytes on their way: what arrives, or undefined when the connection is gone. */
  readonly wire?: (bytes: Uint8Array, from: 'source' | 'target') => Uint8Array | undefined;
  readonly now?: () => number;
}

/** What became of one move. */
export interface MoveOutcome {
  /** Whether the guest is at the target now. */
  readonly hasMoved: boolean;
  /** Why it stayed. */
  readonly problem: string | undefined;
  readonly report: MoveReport;
  readonly source: MigrationSource;
  readonly target: MigrationTarget;
}

/** A guest with a driver that knows nothing of all this, and moves from device to device under its own traffic. */
export class MovingGuest {
  readonly driver: ContractDriver;
  readonly ram: MovingRam;
  at: MovingPlace;
  private readonly wire: MovingWire;
  /** What the guest's processors wrote, and nobody asked for yet: what its device writes is the device's to tell. */
  private own: HostRange[] = [];
  private readonly changed: WrittenSource;

  /** @param host,spare host offsets of `CONTRACT_RAM_BYTES` each, or of as many bytes as the options say */
  constructor(
    memory: HostMemory,
    host: number,
    spare: number,
    wire: MovingWire,
    first: MovingPlace,
    options: MovingGuestOptions = {},
  ) {
    this.ram = new MovingRam(memory, host, spare, options.bytes ?? CONTRACT_RAM_BYTES, GPA);
    this.wire = wire;
    this.at = first;
    wire.at = first.port;
    const device = deviceOf(first.parent);
    this.changed = comparedWrites(this.ram.source);
    const step = (device: VdpaDevice, budget: number): number => {
      this.own.push(...this.changed());
      const done = device.step(budget);
      this.changed();
      return done;
    };
    this.driver = new ContractDriver({ parent: first.parent, memory, ram: host, step }, device, options);
    this.driver.map();
    this.driver.start();
  }

  get device(): VdpaDevice {
    return this.driver.device;
  }

  get places(): readonly QueuePlace[] {
    return this.driver.places;
  }

  /** The guest goes, and its device with it. */
  close(): void {
    this.driver.device.reset();
    this.at.parent.remove(this.driver.device);
  }

  /** Move, with the guest at work: to the end, one way or the other. */
  move(to: MovingPlace, plan: MovePlan = {}): MoveOutcome {
    const { driver, wire, at: from } = this;
    const { frames = 2, pages = 64, point = () => {}, rules } = plan;
    const [here, there] = [driver.device, deviceOf(to.parent)];
    const word = new Int32Array(new SharedArrayBuffer(4));
    const claim = watched(sharedClaim(word), point);
    const pipe = new Pipe(plan);
    let isPaused = false;
    const source = new MigrationSource({
      device: here,
      places: () => driver.places,
      ram: this.ram.source,
      written: [() => [...this.own.splice(0), ...this.changed()]],
      send: (bytes) => pipe.send('source', bytes),
      claim: claim('source'),
      pauseGuest: () => {
        point('source');
        isPaused = true;
      },
      resumeGuest: () => {
        isPaused = false;
      },
      ...(rules === undefined ? {} : { rules }),
      ...(plan.now === undefined ? {} : { now: plan.now }),
    });
    const target = new MigrationTarget({
      device: there,
      ram: this.ram.target,
      send: (bytes) => pipe.send('target', bytes),
      claim: claim('target'),
      notifyDriver: () => point('target'),
      startGuest: () => {
        if (driver.device === there) return;
        this.ram.land();
        driver.device = there;
        wire.at = to.port;
        isPaused = false;
      },
    });
    /** Whether a program died, and its end of the connection with it. */
    const dead = { source: false, target: false };
    const act = (side: 'source' | 'target', what: () => void): void => {
      if (dead[side]) return;
      try {
        point(side);
        what();
      } catch (error) {
        if (!(error instanceof Killed)) throw error;
        dead[side] = true;
        pipe.isCut = true;
      }
    };
    act('source', () => source.begin());
    for (let turn = 0; !(source.isOver && target.isOver); turn++) {
      if (turn > TURNS) throw new BrokenPromise('a move comes to an end');
      if (!isPaused && driver.device === here) {
        plan.during?.(turn);
        for (let sent = 0; sent < frames; sent++) driver.send();
        driver.turn(4);
      }
      act('source', () => source.turn(pages));
      for (const bytes of pipe.take('source')) act('target', () => target.receive(bytes));
      for (const bytes of pipe.take('target')) act('source', () => source.receive(bytes));
      if (!pipe.isCut) continue;
      // Whoever looks after what is left finds out, each in its own time; nobody dies twice.
      for (const side of turn % 2 === 0 ? (['source', 'target'] as const) : (['target', 'source'] as const))
        (side === 'source' ? source : target).lost();
    }
    const hasMoved = driver.device === there;
    if (hasMoved) this.at = to;
    (hasMoved ? from : to).parent.remove(hasMoved ? here : there);
    return { hasMoved, problem: source.problem ?? target.problem, report: source.report, source, target };
  }
}

/** Two queues of bytes, in the order in which they were sent. */
class Pipe {
  isCut = false;
  private readonly plan: MovePlan;
  private readonly ways = { source: [] as Uint8Array[], target: [] as Uint8Array[] };

  constructor(plan: MovePlan) {
    this.plan = plan;
  }

  send(from: 'source' | 'target', bytes: Uint8Array): void {
    this.plan.point?.(from);
    if (this.isCut) return;
    const arrives = this.plan.wire === undefined ? bytes.slice() : this.plan.wire(bytes.slice(), from);
    if (arrives === undefined) this.isCut = true;
    else this.ways[from].push(arrives);
  }

  take(from: 'source' | 'target'): Uint8Array[] {
    return this.ways[from].splice(0);
  }
}

const watched =
  (claim: HandoverClaim, point: (side: 'source' | 'target') => void) =>
  (own: 'source' | 'target'): HandoverClaim => ({
    take(side) {
      point(own);
      const has = claim.take(side);
      point(own);
      return has;
    },
    cede: (side) => claim.cede(side),
  });

function deviceOf(parent: VdpaParent): VdpaDevice {
  const device = parent.add('moving', {});
  if (isVdpaRefusal(device)) throw new BrokenPromise(`a device cannot be added: ${device.message}`);
  return device;
}
