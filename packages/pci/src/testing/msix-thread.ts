import { parentPort, workerData } from 'node:worker_threads';
import { MsixTable } from '../msix-table.js';

/** The raising side: raises one vector in each round that the other side starts. */
export interface MsixOrder {
  readonly vectors: number;
  readonly words: Int32Array;
  /** 0: messages, of both sides; 1: round that has started; 2: round that has been raised. */
  readonly counts: Int32Array;
  readonly rounds: number;
}

const { vectors, words, counts, rounds }: MsixOrder = workerData;
const table = new MsixTable(vectors, () => Atomics.add(counts, 0, 1), words);
for (let i = 1; i <= rounds; i++) {
  while (Atomics.load(counts, 1) < i);
  table.raise(i % vectors);
  Atomics.store(counts, 2, i);
}
parentPort?.postMessage('ended');
