import { comparedWrites, MigrationSource, MigrationTarget, sharedClaim } from '@ringwire/vdpa';
import type { Guest } from './guest.js';
import { addDevice, type Lab, type Place } from './lab.js';
import type { MoveEvent, MoveRecord } from './timeline.js';

/** Pages that are copied between two turns of the guest. */
const PAGES = 64;
/** So many pages of streams that never rest are left for when the guest stands still. */
const PAGES_LEFT = 64;
/** Turns of a move that has an end. */
const TURNS = 100_000;

/**
 * Move the guest to another place while everybody goes on: between two turns of the source and the target all others have theirs.
 * @param others a turn of everybody else
 * @throws Error when the guest stays
 */
export function moveGuest(
  lab: Lab,
  guest: Guest,
  from: Place,
  to: Place,
  now: () => number,
  others: () => void,
): MoveRecord {
  const [here, there] = [guest.device, addDevice(to)];
  const events: MoveEvent[] = [];
  const say = (text: string): void => {
    events.push({ at: now(), text });
  };
  const claim = sharedClaim(new Int32Array(new SharedArrayBuffer(4)));
  const ways = { source: [] as Uint8Array[], target: [] as Uint8Array[] };
  let pausedAt = 0;
  let resumedAt = 0;
  const told: number[] = [];
  const source = new MigrationSource({
    device: here,
    places: () => guest.places,
    ram: lab.ram.source,
    written: [comparedWrites(lab.ram.source)],
    send: (bytes) => ways.source.push(bytes.slice()),
    claim,
    now,
    rules: { pagesLeft: PAGES_LEFT },
    pauseGuest: () => {
      pausedAt = now();
      guest.isPaused = true;
      say('suspend: the guest’s processors and its device stand still');
    },
  });
  const target = new MigrationTarget({
    device: there,
    ram: lab.ram.target,
    send: (bytes) => ways.target.push(bytes.slice()),
    claim,
    startGuest: () => {
      say(`restore: ${to.name} has its RAM, its mappings and its device’s state`);
      lab.ram.land();
      guest.arrive(there);
      to.announce();
      resumedAt = now();
      say('resume: the guest goes on, and the switch was told where it is');
    },
    notifyDriver: (index) => {
      told.push(index);
      guest.interruptFor(index);
    },
  });
  say(`asks ${to.name} whether features, queues and ${lab.ram.source.count} pages of RAM fit`);
  source.begin();
  let rounds = 0;
  for (let turn = 0; !(source.isOver && target.isOver); turn++) {
    if (turn === TURNS) throw new Error('the move has no end');
    others();
    const state = source.state;
    source.turn(PAGES);
    for (; rounds < source.report.rounds.length; rounds++) {
      const { pages, zeros, written } = source.report.rounds[rounds]!;
      say(`pre-copy ${rounds + 1}: ${pages} pages and ${zeros} of zeros; ${written} written meanwhile`);
    }
    if (state === 'stopping' && source.state === 'waiting')
      say(`state: ${source.report.lastPages} last pages, ${positionsOf(guest)}`);
    for (const bytes of ways.source.splice(0)) target.receive(bytes);
    for (const bytes of ways.target.splice(0)) source.receive(bytes);
  }
  if (source.state !== 'moved')
    throw new Error(`the guest stayed with ${from.name}: ${source.problem ?? target.problem}`);
  say(`re-kick: both sides of queues ${told.join(', ')} were told to look; ${from.name} let go of its device`);
  from.parent.remove(here);
  return { from: from.name, to: to.name, rings: guest.rings, events, pausedAt, resumedAt, report: source.report };
}

function positionsOf(guest: Guest): string {
  const positions = guest.places.map(({ index }) => {
    const state = guest.device.queueState(index);
    return `queue ${index} at ${state?.lastAvailIdx ?? '–'}`;
  });
  return positions.join(', ');
}
