import { isDropName, NET_LOSSES } from '../net/net-drop.js';
import { note, problem, type Reason } from './reason.js';
import type { DeviceSnapshot, NetSnapshot } from './snapshot-types.js';

/** A name from a file that another version wrote. */
const UNKNOWN = { level: 'note', why: 'this version knows no such reason' } as const;

/** Queues that the driver has to enable for frames to flow, or undefined: all of them. */
export function queuesInUse({ model }: DeviceSnapshot): ReadonlySet<number> | undefined {
  if (model === null) return undefined;
  const data = Array.from({ length: 2 * model.pairs }, (_, index) => index);
  return new Set(model.controlQueue === null ? data : [...data, model.controlQueue]);
}

/** What the device type adds to why nothing moves. */
export function explainModel({ model }: DeviceSnapshot): Reason[] {
  return model === null ? [] : explainNet(model);
}

function explainNet({ linkUp, backendFull, coalescing, drops }: NetSnapshot): Reason[] {
  const why: Reason[] = [];
  if (!linkUp) why.push(problem('The link is down: frames are dropped in both directions.'));
  for (const queue of backendFull)
    why.push(problem('the backend had no room for its next frame, which waits in the ring.', queue));
  for (const queue of coalescing)
    why.push(note('a notification is owed and waits to be coalesced with later ones.', queue));
  for (const [name, count] of Object.entries(drops)) {
    const { level, why: reason } = isDropName(name) ? NET_LOSSES[name] : UNKNOWN;
    const text = `Given up as ${name}, ${count} ${count === 1 ? 'time' : 'times'}: ${reason}.`;
    why.push(level === 'problem' ? problem(text) : note(text));
  }
  return why;
}
