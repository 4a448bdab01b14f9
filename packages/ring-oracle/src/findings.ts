import { hex } from './memory-reader.js';
import type { Finding } from './report.js';
import { REMARKS, type RemarkId, RULES, type RuleId } from './rules.js';

/** Collects what is wrong (`violations`) and what is odd (`remarks`). */
export class Findings {
  readonly violations: Finding[] = [];
  readonly remarks: Finding[] = [];
  omitted = 0;
  readonly #most: number;

  /** @param most how many of either are listed; a ring of 32768 broken slots needs no 32768 sentences */
  constructor(most: number) {
    this.#most = most;
  }

  violation(id: RuleId, part: Finding['part'], at: bigint | null, message: string): void {
    const { by, spec } = RULES[id];
    this.#add(this.violations, { id, by, spec, at: at === null ? null : hex(at), part, message });
  }

  remark(id: RemarkId, part: Finding['part'], at: bigint | null, message: string): void {
    const { by, spec } = REMARKS[id];
    this.#add(this.remarks, { id, by, spec, at: at === null ? null : hex(at), part, message });
  }

  #add(list: Finding[], finding: Finding): void {
    if (list.length < this.#most) list.push(finding);
    else this.omitted++;
  }
}
