import { expect, test } from 'vitest';
import { serveOnce } from './kept-worker.js';
import { rehearse } from './rehearsal.js';
import { netMemory } from './testing/net-thread.js';
import { netModel, protectedConfig } from './testing/protected-stage.js';
import { parseAs, ThreadConfigSchema } from './thread-schema.js';

/** With drivers of four kinds, three lives each, 32 frames in each direction. */
const ALL = 4 * 3 * 32 * 2;

test.each([{}, { mtu: 9000, pairs: 4, validateChecksums: true }])(
  'a rehearsal of a device with %o: every frame of each life goes through, and the real memory is not touched',
  (more) => {
    const memory = netMemory();
    const { keep: _, ...config } = protectedConfig(memory, { model: netModel(more) });
    const complete = parseAs(ThreadConfigSchema, { ...config, transport: 'pci' }, 'test');
    expect(rehearse(complete, serveOnce, () => false)).toBe(ALL);
    expect(memory.u32.every((word) => word === 0)).toBe(true);
  },
);

test('a rehearsal ends when the real device is there', () => {
  const { keep: _, ...config } = protectedConfig(netMemory());
  const complete = parseAs(ThreadConfigSchema, { ...config, transport: 'pci' }, 'test');
  let lives = 0;
  const frames = rehearse(complete, serveOnce, () => ++lives > 4);
  expect([frames > 0, frames < ALL]).toEqual([true, true]);
});
