import { expect, test } from 'vitest';
import { POSTED_WORDS, PostedWrites } from './posted-writes.js';

const newWords = (): Int32Array => new Int32Array(new SharedArrayBuffer(POSTED_WORDS * 4));

test('writes come out in their order, all words of each, and a full ring takes none', () => {
  const posted = new PostedWrites(newWords());
  let put = 0;
  while (posted.put(put % 6, 4 * put, 4, 0xffff_ff00 + (put & 0xff))) put++;
  expect(put).toBe(256);
  const done: number[][] = [];
  expect(posted.serve((...write) => done.push(write))).toBe(true);
  expect(done).toEqual(Array.from({ length: 256 }, (_, at) => [at % 6, 4 * at, 4, 0xffff_ff00 + at]));
  expect([posted.serve(() => {}), posted.put(0, 0, 4, 1)]).toEqual([false, true]);
});

test('L3: an index that a driver’s thread made up costs the card one ring of writes per turn, and no more', () => {
  const words = newWords();
  const posted = new PostedWrites(words);
  Atomics.store(words, 0, 0x7000_0000);
  let done = 0;
  expect(posted.serve(() => done++)).toBe(true);
  expect(done).toBe(256);
});
