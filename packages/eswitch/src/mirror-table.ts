import type { Mirror } from './flow-rule.js';

const NOBODY: readonly number[] = [];

/** Who gets copies of what goes in and out of which port. */
export class MirrorTable {
  readonly isEmpty: boolean;
  private readonly ins: ReadonlyMap<number, readonly number[]>;
  private readonly outs: ReadonlyMap<number, readonly number[]>;

  constructor(mirrors: readonly Mirror[]) {
    this.isEmpty = mirrors.length === 0;
    this.ins = byPort(mirrors.filter(({ direction }) => direction !== 'out'));
    this.outs = byPort(mirrors.filter(({ direction }) => direction !== 'in'));
  }

  ofIn(port: number): readonly number[] {
    return this.ins.get(port) ?? NOBODY;
  }

  ofOut(port: number): readonly number[] {
    return this.outs.get(port) ?? NOBODY;
  }
}

function byPort(mirrors: readonly Mirror[]): Map<number, number[]> {
  const map = new Map<number, number[]>();
  for (const { port, to } of mirrors) map.set(port, [...(map.get(port) ?? []), to]);
  return map;
}
