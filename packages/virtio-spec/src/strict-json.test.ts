import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readStrictJson } from './strict-json.js';

const problemOf = (text: string): string | undefined => {
  const outcome = readStrictJson(text);
  return 'problem' in outcome ? outcome.problem : undefined;
};

describe('NX-07: keys that mean something to JavaScript', () => {
  test.each(['{"__proto__":{"a":1}}', '[{"b":{"\\u005f_proto__":1}}]'])('%s is refused', (text) => {
    expect(problemOf(text)).toMatch(/^the key "__proto__" at character \d+$/);
  });

  test('all others are plain names, and change no object', () => {
    const text = '{"constructor":{"prototype":{"x":1}},"toString":2,"hasOwnProperty":3,"a":"__proto__"}';
    const outcome = readStrictJson(text);
    expect('value' in outcome && Object.keys(outcome.value as object)).toEqual([
      'constructor',
      'toString',
      'hasOwnProperty',
      'a',
    ]);
    expect([Object.hasOwn(Object.prototype, 'x'), typeof {}.toString]).toEqual([false, 'function']);
  });
});

describe('NX-08: what would cost too much, or mean two things', () => {
  test.each(['[', '{"a":', '[{"b":'])('%s 100000 times: nested too deep', (part) => {
    expect(problemOf(part.repeat(100_000))).toMatch(/^nested more than 64 deep at character \d+$/);
  });

  test('64 deep is not too deep, and what is closed counts no more', () => {
    const deep = '['.repeat(64) + ']'.repeat(64);
    expect(problemOf(deep)).toBeUndefined();
    expect(problemOf(`[${'{},'.repeat(1000)}${deep.slice(1, -1)}]`)).toBeUndefined();
    expect(problemOf(`[${deep}]`)).toBe('nested more than 64 deep at character 64');
  });

  test.each([
    [`[${'7'.repeat(10_000)}]`, 'a number of 10000 characters at character 1'],
    [`{"a":-0.${'3'.repeat(10_000)}e7}`, 'a number of 10004 characters at character 6'],
    [`1e${'9'.repeat(63)}`, 'a number of 65 characters at character 0'],
  ])('%.20s…: a number too long', (text, problem) => {
    expect(problemOf(text)).toBe(problem);
  });

  test('the same key twice, however it is spelt; in two objects it may be', () => {
    expect(problemOf('{"a":1,"b":{"a":2},"a":3}')).toBe('the key "a" twice in one object, again at character 19');
    expect(problemOf('{"a":1,"\\u0061":2}')).toBe('the key "a" twice in one object, again at character 7');
    expect(problemOf('[{"a":1},{"a":1}]')).toBeUndefined();
    const long = 'k'.repeat(100_000);
    expect(problemOf(`{"${long}":1,"${long}":2}`)?.length).toBeLessThan(200);
  });

  test('a string is a string, whatever it looks like', () => {
    expect(problemOf(`{"a":"[[[${'9'.repeat(500)}\\"{","b":"a","c":["a","a"]}`)).toBeUndefined();
  });
});

test('any value comes back as JSON.parse has it', () => {
  const key = fc.string().filter((name) => name !== '__proto__');
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.double(),
      fc.string(),
      fc.boolean(),
      fc.constant(null),
      tie('list'),
      tie('map'),
    ),
    list: fc.array(tie('value'), { maxLength: 5 }),
    map: fc.dictionary(key, tie('value'), { maxKeys: 5 }),
  }));
  fc.assert(
    fc.property(value, fc.constantFrom(0, 2), (any, space) => {
      const text = JSON.stringify(any, null, space);
      expect(readStrictJson(text)).toEqual({ value: JSON.parse(text) });
    }),
  );
});

test('any text at all is an outcome: no exception, and nothing that JSON.parse refuses', () => {
  const parts = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    '"',
    ',',
    ':',
    '\\',
    '\\u00',
    'a',
    '-',
    '1',
    'e',
    ' ',
    'null',
    '"a"',
  );
  fc.assert(
    fc.property(fc.array(parts, { maxLength: 30 }), (pieces) => {
      const text = pieces.join('');
      const outcome = readStrictJson(text);
      if ('value' in outcome) expect(outcome.value).toEqual(JSON.parse(text));
    }),
    { numRuns: 2000 },
  );
});
