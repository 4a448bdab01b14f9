import { comparedWrites, type HandoverClaim, MigrationSource, MigrationTarget, sharedClaim } from '@ringwire/vdpa';
import type { MovingMachine } from './architecture.js';
import { milliseconds } from './clock.js';
import { Traffic } from './traffic.js';

/** Frames before the move, and behind it. */
const FRAMES = 1000;
/** Frames at most of a whole move. */
const MOST = 200_000;
/** Turns of a move that has an end. */
const TURNS = 2000;

/** What became of one move. */
export interface Move {
  readonly hasMoved: boolean;
  /** Why not. */
  readonly problem: string | undefined;
  /** Vendors of the devices here and there; 0 for software. */
  readonly vendors: readonly [here: number, there: number];
  /** ms from the guest's pause until it ran again. */
  readonly downtimeMs: number;
  /** Rounds in which its memory was copied while it ran. */
  readonly rounds: number;
  /** Bytes that went from host to host. */
  readonly bytes: number;
  /** Frames that were sent to the guest and never came; came twice; came out of their place or damaged. */
  readonly lost: number;
  readonly repeated: number;
  readonly wrong: number;
}

/** The guest that gets frames goes to another host, while they come. @param size of a frame */
export function moveGuest(machine: MovingMachine, size: number): Move {
  const { source: here, target: there, ram } = machine;
  const traffic = new Traffic(machine, size, true, MOST);
  traffic.begin();
  traffic.send(FRAMES);
  const claim: HandoverClaim = sharedClaim(new Int32Array(new SharedArrayBuffer(4)));
  const ways: { readonly forth: Uint8Array[]; readonly back: Uint8Array[] } = { forth: [], back: [] };
  let isHere = true;
  const notifyDriver = (queue: number): void => machine.notify(queue);
  const source = new MigrationSource({
    device: here,
    places: () => machine.places(),
    ram: ram.source,
    // Nothing traps what the guest's processors write.
    written: [comparedWrites(ram.source)],
    send: (bytes) => ways.forth.push(bytes.slice()),
    claim,
    now: () => milliseconds() * 1000,
    notifyDriver,
    pauseGuest: () => {
      isHere = false;
    },
    resumeGuest: () => {
      isHere = true;
    },
  });
  const target = new MigrationTarget({
    device: there,
    ram: ram.target,
    send: (bytes) => ways.back.push(bytes.slice()),
    claim,
    notifyDriver,
    startGuest: () => {
      machine.land();
      isHere = true;
    },
  });
  source.begin();
  for (let turn = 0; !(source.isOver && target.isOver); turn++) {
    if (turn > TURNS) throw new Error('the move does not come to an end');
    traffic.offer(MOST);
    traffic.turn(isHere);
    source.turn();
    for (const bytes of ways.forth.splice(0)) target.receive(bytes);
    for (const bytes of ways.back.splice(0)) source.receive(bytes);
  }
  traffic.sendLossy(FRAMES);
  const { rounds, bytes, downtime } = source.report;
  const { lost, repeated, wrong } = traffic;
  return {
    hasMoved: source.state === 'moved' && target.state === 'runs',
    problem: source.problem ?? target.problem,
    vendors: [here.vendorId, there.vendorId],
    downtimeMs: downtime / 1000,
    rounds: rounds.length,
    bytes,
    lost,
    repeated,
    wrong,
  };
}
