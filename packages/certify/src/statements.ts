import { RULES, type RuleId } from '@ringwire/ring-oracle';
import { type ClauseId, DRIVER_CLAUSES, type DriverClause, type StatementLevel } from './driver-clauses.js';

/** A sentence that a driver keeps or breaks, and where it stands. */
export interface Statement {
  /** `drv.…`: statements of virtio 1.4, counted in their clause. Others are described there without a normative word. */
  readonly id: string;
  readonly level: StatementLevel;
  /** Section of virtio 1.4. */
  readonly spec: string;
  /** In the specification's sense, not in its words. */
  readonly gist: string;
}

/** What the specification describes, and no normative statement says. Of rings, the ring oracle has more: its `ring.…`. */
const DESCRIBED = {
  'ring.split.notify-data': ['MUST', '2.9', 'say in a notification with data where the next available entry will be'],
  'ring.packed.wrap-counter': [
    'MUST',
    '2.8.1',
    'mark descriptors available by the driver’s wrap counter, flipped at the end of the ring',
  ],
  'ring.packed.notify-missing': ['MUST', '2.8.21.3', 'notify about buffers unless the event suppression says not to'],
  'ring.packed.notify-unwanted': ['SHOULD NOT', '2.8.10', 'notify while the event suppression says not to'],
  'net.tx.frame': ['MUST', '5.1.9.2', 'transmit each frame whole, once and in order, behind its header'],
  'net.tx.readable': ['MUST', '5.1.9.2', 'give transmit queues a header and a frame that the device can read'],
  'net.rx.frame': ['MUST', '5.1.9.4', 'hand up each frame whole and once, without its header'],
  'net.rx.merged': ['MUST', '5.1.9.4', 'take num_buffers buffers for one frame'],
  'net.rx.writable': ['MUST', '5.1.9.3', 'give receive queues buffers that the device can write'],
  'driver.opens': ['MUST', '3.1.1', 'take a device into use that offers what the driver needs'],
  'driver.survives': ['MUST', '2.1.2', 'go on, or end in order, whatever the device does'],
} as const;

const CLAUSES: Readonly<Record<ClauseId, DriverClause>> = DRIVER_CLAUSES;

/** Id of a statement; that a clause has as many is looked at when it is asked for. */
export type StatementId = `${ClauseId}.${number}` | keyof typeof DESCRIBED | RuleId;

/** @throws Error for a statement that does not exist */
export function statementOf(id: StatementId): Statement {
  if (id in DESCRIBED) {
    const [level, spec, gist] = DESCRIBED[id as keyof typeof DESCRIBED];
    return { id, level, spec, gist };
  }
  const dot = id.lastIndexOf('.');
  const clause = CLAUSES[id.slice(0, dot) as ClauseId] as DriverClause | undefined;
  const found = clause?.statements[Number(id.slice(dot + 1)) - 1];
  if (clause !== undefined && found !== undefined) return { id, level: found[0], spec: clause.spec, gist: found[1] };
  const rule = RULES[id as RuleId];
  if (rule === undefined) throw new Error(`there is no statement ${id}`);
  return { id, level: 'MUST', spec: rule.spec, gist: 'keep to the layout and meaning of the ring’s fields' };
}

/** All normative statements of these areas, such as `basic` and `split`; those that only permit something are left out. */
export function statementsOf(areas: readonly string[]): Statement[] {
  return (Object.keys(CLAUSES) as ClauseId[])
    .filter((id) => areas.includes(id.split('.')[1]!))
    .flatMap((id) => CLAUSES[id].statements.map((_, at) => statementOf(`${id}.${at + 1}`)))
    .filter(({ level }) => level !== 'MAY');
}
