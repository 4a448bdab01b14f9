import type { FlowRule, Mirror } from './flow-rule.js';
import type { PortSettings } from './port-settings.js';
import type { WireControl, WireSettings } from './wire/wire-settings.js';

/** What of a switch may be other than before, with its value. */
export interface SwitchState extends PortSettings, WireSettings {
  readonly localSwitching: boolean;
  readonly rules: readonly FlowRule[];
  readonly mirrors: readonly Mirror[];
}

/** Something that was set, or was not. */
export interface SwitchChange {
  /** The host: whoever has the switch, such as the physical function's driver. Or the port's own function, by what it asked for. */
  readonly by: 'host' | 'function';
  /** Number of the port that it is set for; undefined for what is the whole switch's. The wire is the physical function's to set. */
  readonly port: number | undefined;
  /** The settings that are other ones now, as they were and as they are: both have the same names. */
  readonly before: Partial<SwitchState>;
  readonly after: Partial<SwitchState>;
  /** Why it was not granted: everything is as before, and `after` is what was asked for. */
  readonly refused?: string;
}

/** Told of every change of what is set for a switch, and of what a function asked for in vain. */
export interface ChangeWatcher {
  changed(change: SwitchChange): void;
}

/** What of one state differs from another. */
export function settingsThatDiffer<T extends object>(
  before: T,
  after: T,
): { readonly before: Partial<T>; readonly after: Partial<T> } | undefined {
  const names = (Object.keys(after) as (keyof T)[]).filter((name) => !isAlike(before[name], after[name]));
  if (names.length === 0) return undefined;
  const of = (state: T): Partial<T> => Object.fromEntries(names.map((name) => [name, state[name]])) as Partial<T>;
  return { before: of(before), after: of(after) };
}

/** A wire to be set, where each change is told of with the settings before it. */
export function watchedWire(control: WireControl, told: (before: WireSettings) => void): WireControl {
  return {
    counters: control.counters,
    get settings() {
      return control.settings;
    },
    get link() {
      return control.link;
    },
    configure: (changes) => {
      const before = control.settings;
      control.configure(changes);
      told(before);
    },
  };
}

/** Addresses, lists of them, sets and records are alike by what is in them. */
function isAlike(one: unknown, other: unknown): boolean {
  if (one === other) return true;
  if (typeof one !== 'object' || typeof other !== 'object' || one === null || other === null) return false;
  if (one instanceof Set || other instanceof Set)
    return one instanceof Set && other instanceof Set && isAlike([...one], [...other]);
  const [ones, others] = [Object.entries(one), Object.entries(other)];
  return (
    ones.length === others.length &&
    ones.every(([name, value]) => isAlike(value, (other as Record<string, unknown>)[name]))
  );
}
