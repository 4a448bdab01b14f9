import { describe, expect, test } from 'vitest';
import { statementIdsIn, statementIdsInSource } from './statement-ids.js';

describe('statement ids in a title', () => {
  test('several ids in front of a sentence are found in order, each once', () => {
    const title = 'dev.alpha.ring-one.1 drv.beta.x.12: the device, dev.alpha.ring-one.1 again.';
    expect(statementIdsIn(title)).toEqual(['dev.alpha.ring-one.1', 'drv.beta.x.12']);
  });

  test('the compact form repeats role, area and clause', () => {
    expect(statementIdsIn('drv.alpha.one.1,.2, .14: the driver')).toEqual([
      'drv.alpha.one.1',
      'drv.alpha.one.2',
      'drv.alpha.one.14',
    ]);
  });

  test('ids joined by commas, in parentheses and at the end of a sentence are found', () => {
    expect(statementIdsIn('(dev.alpha.one.1,dev.alpha.one.2) as in drv.beta.x.3.')).toEqual([
      'dev.alpha.one.1',
      'dev.alpha.one.2',
      'drv.beta.x.3',
    ]);
  });

  test.each([
    ['dev.alpha.ring_one.1: underscore', 'dev.alpha.ring_one.1'],
    ['dev.alpha.one: no number', 'dev.alpha.one'],
    ['dev.alpha.one.1a', 'dev.alpha.one.1a'],
    ['dev.alpha.one.1-3', 'dev.alpha.one.1-3'],
    ['dev.alpha.one.1.2', 'dev.alpha.one.1.2'],
  ])('what only looks like an id comes back as written: %s', (title, id) => {
    expect(statementIdsIn(title)).toEqual([id]);
    expect(statementIdsInSource(title)).toEqual([]);
  });

  test.each(['virtio 1.4 §2.7.8.2: len before idx', '/dev.alpha', 'mydev.alpha.one.1', 'dev.alpha'])(
    'there is none in: %s',
    (title) => {
      expect(statementIdsIn(title)).toEqual([]);
    },
  );
});
