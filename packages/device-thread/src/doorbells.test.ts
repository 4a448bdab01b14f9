import { expect, test } from 'vitest';
import { controlLayout } from './control-layout.js';
import { ringDoorbell, takeDoorbells } from './doorbells.js';

const layout = controlLayout({ doorbells: 4, vectors: 0 });

test('each queue that was rung is notified once, in order; a queue beyond those there are is not', () => {
  const words = new Int32Array(new SharedArrayBuffer(layout.words * 4));
  const notified: number[] = [];
  const take = (): boolean => takeDoorbells(words, layout, 3, (queue) => notified.push(queue));
  expect(take()).toBe(false);
  for (const queue of [2, 0, 2, 3, 2]) ringDoorbell(words, layout, queue, 0);
  expect([take(), notified]).toEqual([true, [0, 2]]);
  expect([take(), notified.length]).toEqual([false, 2]);
});

test('a doorbell that is rung while others are handed on is handed on with the next look', () => {
  const words = new Int32Array(new SharedArrayBuffer(layout.words * 4));
  const notified: number[] = [];
  const notify = (queue: number): void => {
    notified.push(queue);
    if (notified.length === 1) ringDoorbell(words, layout, 0, 0);
  };
  ringDoorbell(words, layout, 1, 0);
  takeDoorbells(words, layout, 4, notify);
  takeDoorbells(words, layout, 4, notify);
  expect(notified).toEqual([1, 0]);
});

test('what different sides write never shares a cache line', () => {
  const { words: _words, vectors: _vectors, doorbellCount: _count, ...places } = layout;
  expect(Object.values(places).filter((at) => at % 16 !== 0)).toEqual([]);
  expect(new Set(Object.values(places)).size).toBe(Object.keys(places).length - 3); // nothing for no vectors and no queue threads
});
