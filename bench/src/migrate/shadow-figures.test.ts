import { expect, test } from 'vitest';
import { formatShadow, measureShadow, selectShadow } from './shadow-figures.js';

test('F67: frames go out and come back with a shadow queue and without, each once', () => {
  const plans = selectShadow({ filter: /shadow/, quick: true });
  expect(plans.map(({ name }) => name)).toEqual(['shadow/split/64', 'shadow/packed/64']);
  expect(selectShadow({ filter: undefined, quick: true })).toEqual([]);
  for (const plan of plans) {
    const figure = measureShadow(plan, { warmSeconds: 0.02, seconds: 0.02, repeats: 2 });
    expect([figure.problem, figure.lost, figure.doubled]).toEqual([null, 0, 0]);
    expect(figure.frames).toBeGreaterThan(1000);
    expect(figure.ratio).toBeCloseTo(figure.plainNsPerFrame / figure.nsPerFrame, 10);
    expect(formatShadow([figure])).toContain(`ratio ${figure.ratio.toFixed(2)}`);
  }
});
