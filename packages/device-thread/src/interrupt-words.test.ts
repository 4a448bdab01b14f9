import { expect, test } from 'vitest';
import { controlLayout, SLOT } from './control-layout.js';
import { InterruptRaiser, InterruptTaker } from './interrupt-words.js';

const layout = controlLayout({ doorbells: 1, vectors: 4 });

function newSides(): { words: Int32Array; raiser: InterruptRaiser; taker: InterruptTaker; told: string[] } {
  const words = new Int32Array(new SharedArrayBuffer(layout.words * 4));
  const told: string[] = [];
  const taker = new InterruptTaker(words, layout, {
    message: (low, high, data, vector) => told.push(`${vector}: ${low.toString(16)} ${high.toString(16)} ${data}`),
    level: (asserted) => told.push(asserted ? 'up' : 'down'),
  });
  return { words, raiser: new InterruptRaiser(words, layout), taker, told };
}

test('a message arrives as it was sent; those of a vector that nobody took are one, with what the last one says', () => {
  const { raiser, taker, told } = newSides();
  expect([taker.isRaised, taker.take()]).toEqual([false, 0]);
  raiser.message(0xfee0_0000, 0xffff_ffff, 7, 3);
  raiser.message(0xfee0_0000, 0, 1, 0);
  raiser.message(0xfee0_1000, 0, 2, 0);
  expect([taker.isRaised, taker.take()]).toEqual([true, 2]);
  expect(told).toEqual(['0: fee01000 0 2', '3: fee00000 ffffffff 7']);
  expect(taker.take()).toBe(0);
});

test('a line that fell and rose between two looks is told as both; one that rose and fell is not told', () => {
  const { raiser, taker, told } = newSides();
  raiser.level(true);
  taker.take();
  raiser.level(false);
  raiser.level(true);
  taker.take();
  raiser.level(false);
  taker.take();
  raiser.level(true);
  raiser.level(false);
  expect(taker.take()).toBe(0);
  expect(told).toEqual(['up', 'down', 'up', 'down']);
});

test('a message half written by a thread that died comes once the slot is mended, and holds nobody up before', () => {
  const { words, raiser, taker, told } = newSides();
  raiser.message(0xfee0_0000, 0, 5, 1);
  Atomics.add(words, layout.slots + SLOT.WORDS + SLOT.SEQUENCE, 1);
  taker.take();
  expect(told).toEqual([]);
  raiser.mend();
  taker.take();
  expect(told).toEqual(['1: fee00000 0 5']);
  raiser.message(0xfee0_0000, 0, 6, 1);
  taker.take();
  expect(told[1]).toBe('1: fee00000 0 6');
});
