import { DELIVERED_NOTE, type Decision, FORM } from './decision.js';
import { dropName, type EswitchDrop, NO_DROP } from './drop-reason.js';

/** One rule that was looked at. */
export interface ExplanationStep {
  readonly rule: string;
  readonly outcome: string;
  /** Number of the port that it is about. */
  readonly port: number;
}

/** What one port would get. */
export interface ExplainedPort {
  readonly port: number;
  /** The rule that the frame is this port's by. */
  readonly rule: string;
  /** Why it does not get it all the same. A receiver may have no room besides. */
  readonly drop?: EswitchDrop;
  /** The tag of its port VLAN is taken off. */
  readonly withoutTag: boolean;
}

/** What would become of a frame, and why: plain data, for JSON. */
export interface Explanation {
  /** Where it came in. */
  readonly port: number;
  /** In the order that they were looked at. */
  readonly steps: readonly ExplanationStep[];
  /** Why it goes nowhere; copies by mirrors go nevertheless. */
  readonly drop?: EswitchDrop;
  readonly ports: readonly ExplainedPort[];
}

export function explained(port: number, steps: readonly ExplanationStep[], decision: Decision): Explanation {
  const ports = Array.from({ length: decision.count }, (_, at): ExplainedPort => {
    const number = decision.port[at]!;
    const drop = decision.portDrop[at]!;
    return {
      port: number,
      rule: ruleOf(number, drop, steps),
      ...(drop === NO_DROP ? {} : { drop: dropName(drop) }),
      withoutTag: decision.form[at] === FORM.WITHOUT_TAG,
    };
  });
  return { port, steps, ...(decision.drop === NO_DROP ? {} : { drop: dropName(decision.drop) }), ports };
}

/** The same for people, a step a line. */
export function explanationText({ port, steps, drop, ports }: Explanation): string {
  const lines = steps.map((step) => `port ${step.port}: ${step.rule}: ${step.outcome}`);
  const gets = ports.filter((one) => one.drop === undefined).map((one) => one.port);
  const end = drop === undefined ? '' : `dropped, ${drop}; `;
  return [
    `frame from port ${port}`,
    ...lines,
    `${end}delivered to ${gets.length === 0 ? 'nobody' : gets.join(', ')}`,
  ].join('\n');
}

function ruleOf(port: number, drop: number, steps: readonly ExplanationStep[]): string {
  const outcome = drop === NO_DROP ? DELIVERED_NOTE : dropName(drop);
  return steps.findLast((step) => step.port === port && step.outcome === outcome)?.rule ?? '';
}
