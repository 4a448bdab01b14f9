import { type Statement, type StatementId, statementOf } from './statements.js';

/** A statement that a driver broke, and by what. */
export interface Finding extends Statement {
  /** Names the register, field or address, its value and what was wanted. */
  readonly message: string;
  /** Guest address of the field at fault; null where it is no memory. */
  readonly at: string | null;
  /** Times that it was broken; the message is of the first one. */
  readonly count: number;
  /** Not only advice: the driver does not pass. */
  readonly fails: boolean;
}

/** How a driver stands to a statement so far. */
export type Standing = 'kept' | 'broken';

/** Collects what was looked at, and what was wrong. */
export class Verdict {
  /** By statement id. */
  readonly standings: Map<string, Standing> = new Map();
  private readonly found: Map<string, { -readonly [key in keyof Finding]: Finding[key] }> = new Map();
  private readonly isStrict: boolean;

  /** @param isStrict what the specification only recommends fails, too */
  constructor(isStrict: boolean) {
    this.isStrict = isStrict;
  }

  get findings(): readonly Finding[] {
    return [...this.found.values()];
  }

  get fails(): boolean {
    return this.findings.some(({ fails }) => fails);
  }

  /**
   * A situation came about that a statement is about.
   * @param holds whether the driver kept to it
   * @param message of what is wrong
   * @param at guest address
   */
  judge(id: StatementId, holds: boolean, message: string | (() => string), at: string | null = null): void {
    if (holds) this.keep(id);
    else this.break(id, typeof message === 'string' ? message : message(), at);
  }

  keep(id: StatementId): void {
    if (!this.standings.has(id)) this.standings.set(id, 'kept');
  }

  /** @param fails the driver does not pass, however binding the statement is: by its level unless given */
  break(id: StatementId, message: string, at: string | null = null, fails?: boolean): void {
    this.standings.set(id, 'broken');
    const before = this.found.get(id);
    if (before !== undefined) {
      before.count++;
      before.fails ||= fails === true;
      return;
    }
    const statement = statementOf(id);
    const isBinding = this.isStrict || statement.level.startsWith('MUST');
    this.found.set(id, { ...statement, message, at, count: 1, fails: fails ?? isBinding });
  }
}
