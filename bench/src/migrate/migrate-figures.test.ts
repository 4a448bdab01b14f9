import { expect, test } from 'vitest';
import { formatMigrate, measureMigrate, selectMigrate } from './migrate-figures.js';

test('guests move when it is asked for, and in a full run', () => {
  const named = (filter: RegExp | undefined, quick: boolean) =>
    selectMigrate({ filter, quick }).map(({ name }) => name);
  expect(named(undefined, true)).toEqual([]);
  expect(named(undefined, false)).toEqual(['migrate/downtime']);
  expect(named(/migrate/, true)).toEqual(['migrate/downtime']);
  expect(named(/failover/, false)).toEqual([]);
});

test('F68: eight devices move at once, from vendor to vendor and by shadow queues: no frame is lost or comes twice', () => {
  const figure = measureMigrate(2, 1);
  expect([figure.problem, figure.lost, figure.doubled]).toEqual([null, 0, 0]);
  expect(figure.rows.map(({ route, layout }) => `${route}, ${layout}`)).toEqual(
    ['split', 'packed'].flatMap((layout) =>
      ['A → B', 'B → A', 'sim → vp_vdpa', 'vp_vdpa → sim', 'A → shadow queue', 'shadow queue → A'].map(
        (route) => `${route}, ${layout}`,
      ),
    ),
  );
  // 12 rows of 3 moves, with two frames of eight drivers for each 64 pages of at least 2048.
  expect(figure.frames).toBeGreaterThan(12 * 3 * 8 * 2);
  for (const { rounds, pages, lastPages, p50, p99, moves } of figure.rows) {
    expect([moves, rounds >= 1, pages >= 2048, lastPages > 0, p50 > 0, p99 >= p50]).toEqual([
      2,
      true,
      true,
      true,
      true,
      true,
    ]);
  }
  expect(formatMigrate(figure)).toContain(`${figure.frames} frames, 0 lost, 0 doubled`);
  expect(formatMigrate({ ...figure, problem: 'a device stays' })).toContain('FAILED: a device stays');
}, 120_000);
