import { expect, test } from 'vitest';
import type { Translation } from './case-plan.js';
import { IommuCost, TRANSLATION_TEXT } from './iommu-cost.js';

const KINDS = Object.keys(TRANSLATION_TEXT) as Translation[];

test.each(KINDS.filter((kind) => !kind.startsWith('unmap')))(
  '%s: every access goes where its mapping says, and all are in memory',
  (kind) => {
    const cost = new IommuCost(kind);
    cost.run(5000, false);
    cost.run(5000, true);
    expect(cost.wrong).toBe(0);
    expect(cost.sum).not.toBe(0);
  },
);

test.each(['unmap-strict', 'unmap-lazy'] as const)(
  '%s: a page that was mapped is reached, and one that was unmapped is not',
  (kind) => {
    const cost = new IommuCost(kind);
    cost.run(600, false);
    cost.run(600, true);
    expect(cost.wrong).toBe(0);
  },
);
