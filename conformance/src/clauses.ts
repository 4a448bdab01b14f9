import { z } from 'zod';
import { UnusableInput } from './unusable-input.js';

/** One normative statement: "the *role* *level*: *gist*". */
export interface Statement {
  /** Stable id, such as the role, area, clause and number joined by dots. */
  readonly id: string;
  readonly area: string;
  readonly role: 'device' | 'driver';
  readonly level: string;
  /** Paraphrase; the specification decides. */
  readonly gist: string;
  /** Section of virtio 1.4 without the sign, such as "2.7.4.1". */
  readonly section: string;
}

/** All normative statements in scope, in the specification's order. */
export interface ClauseList {
  readonly statements: ReadonlyMap<string, Statement>;
  readonly areas: readonly string[];
}

const ClauseFile = z.array(
  z.strictObject({
    id: z.string().regex(/^(dev|drv)\.[a-z]+\.[a-z0-9-]+$/),
    role: z.enum(['device', 'driver']),
    label: z.string(),
    file: z.string(),
    spec_section: z.string().regex(/^\d+(\.\d+)*$/),
    area: z.string(),
    statements: z
      .array(
        z.strictObject({
          id: z.string(),
          level: z.enum(['MUST', 'MUST NOT', 'SHOULD', 'SHOULD NOT', 'MAY']),
          gist: z.string().min(1),
        }),
      )
      .min(1),
  }),
);

/**
 * Read the clause file's content.
 * @throws UnusableInput when it has another shape, or an id twice or outside its clause
 */
export function readClauses(content: unknown): ClauseList {
  const parsed = ClauseFile.safeParse(content);
  if (!parsed.success) throw new UnusableInput(`clause list: ${z.prettifyError(parsed.error)}`);
  const statements = new Map<string, Statement>();
  const areas = new Set<string>();
  for (const clause of parsed.data) {
    const prefix = `${clause.role === 'device' ? 'dev' : 'drv'}.${clause.area}.`;
    if (!clause.id.startsWith(prefix)) {
      throw new UnusableInput(`clause list: ${clause.id} does not begin with its role and area, ${prefix}`);
    }
    areas.add(clause.area);
    for (const { id, level, gist } of clause.statements) {
      const number = id.startsWith(`${clause.id}.`) ? id.slice(clause.id.length + 1) : '';
      if (!/^\d+$/.test(number)) throw new UnusableInput(`clause list: ${id} is not a number in ${clause.id}`);
      if (statements.has(id)) throw new UnusableInput(`clause list: ${id} is there twice`);
      statements.set(id, { id, area: clause.area, role: clause.role, level, gist, section: clause.spec_section });
    }
  }
  return { statements, areas: [...areas] };
}

/** @throws UnusableInput naming the area that the clause list lacks */
export function checkAreas(areas: readonly string[], clauses: ClauseList, option: string): void {
  for (const area of areas) {
    if (clauses.areas.includes(area)) continue;
    throw new UnusableInput(`${option}: area is "${area}", want one of ${clauses.areas.join(', ')}`);
  }
}
