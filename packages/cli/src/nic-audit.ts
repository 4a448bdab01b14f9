import { closeSync, openSync, writeSync } from 'node:fs';
import type { ChangeWatcher, SwitchChange } from '@ringwire/eswitch';
import type { GrowingFile } from './capture-file.js';
import { macText, portName } from './nic-names.js';
import { mirrorShown, ruleShown } from './nic-rules.js';
import { UnusableInput } from './terminal.js';

/** Who sets what no guest asked for, until somebody else is said to. */
const SERVE = 'ringwire serve';
const OWNER_ONLY = 0o600;
const MAC_BYTES = 6;

/** One change, a line of the file. */
export interface AuditLine {
  /** ISO 8601. */
  readonly time: string;
  readonly who: string;
  /** Whose settings: a port's name, `card`, `rate NAME`. */
  readonly what: string;
  /** What is other than before, by the names of the settings; null: there was none, or there is none now. */
  readonly before: unknown;
  readonly after: unknown;
  /** Why it is not so: `after` was asked for. */
  readonly refused?: string;
}

/** A file of all that is set for a card: JSON, a line for each change, each written when it happens. */
export class AuditLog implements ChangeWatcher, GrowingFile {
  readonly name: string;
  problem: string | undefined = undefined;
  private who = SERVE;
  private readonly handle: number;

  /** @throws UnusableInput when there can be no such file; one that there is goes on */
  constructor(path: string) {
    this.name = `audit log, ${path},`;
    try {
      this.handle = openSync(path, 'a', OWNER_ONLY);
    } catch (error) {
      throw new UnusableInput(`${path} cannot be written: ${(error as NodeJS.ErrnoException).code ?? error}`);
    }
  }

  /** What the host sets within the call is somebody's doing. */
  by<T>(who: string, act: () => T): T {
    const before = this.who;
    this.who = who;
    try {
      return act();
    } finally {
      this.who = before;
    }
  }

  changed({ by, port, before, after, refused }: SwitchChange): void {
    const what = port === undefined ? 'card' : portName(port);
    this.write({ who: by === 'function' ? `driver of ${what}` : this.who, what, before, after, refused });
  }

  /** A change that no switch tells of. */
  note(what: string, before: unknown, after: unknown, refused?: string): void {
    this.write({ who: this.who, what, before, after, refused });
  }

  /** Each line is written at once. */
  flush(): void {}

  close(): void {
    closeSync(this.handle);
  }

  private write(line: Omit<AuditLine, 'time' | 'refused'> & { readonly refused: string | undefined }): void {
    if (this.problem !== undefined) return;
    const text = `${JSON.stringify({ time: new Date().toISOString(), ...line }, readable)}\n`;
    try {
      writeSync(this.handle, text);
    } catch (error) {
      this.problem = (error as NodeJS.ErrnoException).code ?? String(error);
    }
  }
}

/** Addresses, sets and rules as people write them; what is not there is null where it was or is. */
function readable(this: unknown, name: string, value: unknown): unknown {
  if (value instanceof Uint8Array)
    return value.length === MAC_BYTES ? macText(value) : Buffer.from(value).toString('hex');
  if (value instanceof Uint32Array) return Array.from(value);
  if (value instanceof Set) return [...value];
  if (name === 'rules' && Array.isArray(value)) return value.map(ruleShown);
  if (name === 'mirrors' && Array.isArray(value)) return value.map(mirrorShown);
  if (value === undefined && name !== 'refused') return null;
  return value;
}
