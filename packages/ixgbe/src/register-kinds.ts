import { PF_REG, PF_ROW, PF_STAT, rowAt } from '@ringwire/nic-spec/ixgbe';

/** Rows of registers, by name. */
export type RowName = keyof typeof PF_ROW;

/** Which row a register is in, and where in it. */
export const ROW_OF: ReadonlyMap<number, { readonly name: RowName; readonly index: number }> = new Map(
  (Object.keys(PF_ROW) as RowName[]).flatMap((name) =>
    Array.from({ length: PF_ROW[name].count }, (_, index) => [rowAt(PF_ROW[name], index), { name, index }] as const),
  ),
);

const STEERING_ROWS: ReadonlySet<RowName> = new Set([
  'RETA',
  'ETQF',
  'ETQS',
  'FTQF',
  'SAQF',
  'DAQF',
  'SDPQF',
  'L34TIMIR',
]);

/** Whether queues are chosen by a register. */
export function isSteering(at: number): boolean {
  const row = ROW_OF.get(at);
  return row === undefined ? at === PF_REG.MRQC : STEERING_ROWS.has(row.name);
}

const STATISTICS: ReadonlySet<number> = new Set([...Object.values(PF_STAT), ...queueStatistics()]);

/** Whether a register counts, and is cleared by reading. */
export const isStatistic = (at: number): boolean => STATISTICS.has(at);

/** Statistics of queues, which are not told apart. */
function queueStatistics(): number[] {
  const rows = [PF_ROW.QPRC, PF_ROW.QBRC_L, PF_ROW.QBRC_H, PF_ROW.QPRDC, PF_ROW.QPTC, PF_ROW.QBTC_L, PF_ROW.QBTC_H];
  return rows.flatMap((row) => Array.from({ length: row.count }, (_, index) => rowAt(row, index)));
}
