import { expect, test } from 'vitest';
import { ratesText, StatusLine, short } from './serve-status.js';

test('three digits and a unit', () => {
  expect([0, 7, 999, 999.6, 1234, 12_345, 123_456, 999_600, 1e9, 2.5e12].map(short)).toEqual([
    ...['0', '7', '999', '1.00k', '1.23k', '12.3k', '123k', '1.00M', '1.00G', '2500G'],
  ]);
});

test('rates are what came between two moments; a counter that began anew counts from zero', () => {
  const flow = (inFrames: number, outFrames: number, bytes: number) => ({ name: 'a', inFrames, outFrames, bytes });
  expect(ratesText([flow(1000, 50, 0)], [flow(3000, 20, 1250)], 2)).toBe('a 1.00k/s in 10/s out 5.00kbit/s');
});

test('the line is written anew below those that stay, no wider than the screen, and is gone at the end', () => {
  const said: string[] = [];
  const terminal = { out: () => {}, err: (piece: string) => void said.push(piece), color: false, liveColumns: () => 6 };
  const line = new StatusLine(terminal);
  line.show('12345678');
  line.say('stays');
  line.show('9');
  line.end();
  line.end();
  const clear = '\r\u001b[K';
  expect(said.join('')).toBe(`12345${clear}stays\n12345${clear}9${clear}`);
});

test('without a screen there is no such line', () => {
  const said: string[] = [];
  const line = new StatusLine({ out: () => {}, err: (piece) => void said.push(piece), color: false });
  line.show('1');
  line.say('stays');
  line.end();
  expect(said).toEqual(['stays\n']);
});
