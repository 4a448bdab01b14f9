import type { V86Nic, V86NicOptions } from './v86-nic.js';
import type { V86Cpu } from './v86-parts.js';

/** Where in v86's list our state is: far behind its own parts. */
const PLACE = 200;
const TAG = 'ringwire';
const VERSION = 1;

/** A card with what it was made with. */
export interface KeptNic extends V86Nic {
  readonly options: V86NicOptions;
}

/**
 * Make the cards' states part of what v86 saves and restores: a list of its own in v86's list of parts, which a v86 without
 * cards passes over.
 */
export function keepState(cpu: V86Cpu, nics: readonly KeptNic[]): void {
  const { get_state: get, set_state: set } = cpu;
  cpu.get_state = () => {
    // Interrupts that wait go into v86's own state, so that ours comes first.
    const states = nics.map(({ nic, slot }) => [slot, nic.saveState()]);
    const late = states.find(([, state]) => state === undefined);
    if (late !== undefined) throw new Error(`the card in slot ${String(late[0])} is at work: save between two slices`);
    const all = get.call(cpu);
    // Cards that were attached before these are in the list already.
    all[PLACE] = [TAG, VERSION, [...statesIn(all[PLACE]), ...states]];
    return all;
  };
  cpu.set_state = (state) => {
    set.call(cpu, state);
    const states = statesIn(state[PLACE]);
    const problems: string[] = [];
    for (const { nic, slot, options } of nics) {
      const bytes = states.get(slot);
      const problem =
        bytes === undefined ? 'there is none in the state' : nic.restoreState(bytes, options.macAfterRestore ?? 'keep');
      if (problem === undefined) continue;
      nic.reset();
      problems.push(`the card in slot ${slot} was reset: ${problem}`);
    }
    if (problems.length > 0) throw new Error(problems.join('; '));
  };
}

/** States by slot of a list that is foreign. */
function statesIn(list: unknown): ReadonlyMap<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  if (!Array.isArray(list) || list[0] !== TAG || list[1] !== VERSION || !Array.isArray(list[2])) return found;
  for (const entry of list[2] as unknown[]) {
    if (!Array.isArray(entry)) continue;
    const [slot, bytes] = entry as unknown[];
    if (typeof slot === 'number' && bytes instanceof Uint8Array) found.set(slot, bytes);
  }
  return found;
}
