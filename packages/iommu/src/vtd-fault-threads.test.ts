import { HostMemory } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { BUS_WORDS, evictThread, newBusOwner } from './invalidation-bus.js';
import { faultAddress, Owner, translateBy } from './testing/dma-stage.js';
import type { FaultOrder } from './testing/fault-thread.js';
import { startThread } from './testing/start-thread.js';
import { REG } from './testing/vtd-bench.js';

const RECORDS = 200;
/** Times that all records are served. */
const ROUNDS = 500;
const DEVICES = [0x18, 0x20];
/** PFO and PPF. */
const PENDING = 3;

test('VT-d 4.0 §7.3.1, IO-30: faults of two threads at once: no record is lost, torn or there twice, and the event never fails to come', async () => {
  const memory = HostMemory.create(0x40_0000);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const control = new Int32Array(new SharedArrayBuffer(12));
  const owner = new Owner(memory, words);
  const unit = owner.newUnit(RECORDS);
  const domain = owner.domain(1);
  for (const sourceId of DEVICES) owner.requesters.attach(sourceId, domain);
  translateBy(unit, owner.requesters.root);
  unit.write(REG.FECTL, 4, 0);
  const devices = [];
  for (const sourceId of DEVICES) {
    const registers = unit.registers.shared;
    const order: FaultOrder = { memory: memory.wasm!, words, registers, sourceId, control };
    devices.push(await startThread<number>('fault-thread.ts', order));
  }
  while (Atomics.load(control, 1) < DEVICES.length) Atomics.wait(control, 1, Atomics.load(control, 1), 10);
  /** Number of the newest fault seen of each device. */
  const newest = new Map(DEVICES.map((sourceId) => [sourceId, -1]));
  let seen = 0;
  let overflows = 0;
  const problems: string[] = [];
  /** Serve everything, as a driver does in its handler: in the order of the ring, from FRI on. */
  const serve = (): void => {
    for (let status = unit.read(REG.FSTS, 4); (status & PENDING) !== 0; status = unit.read(REG.FSTS, 4)) {
      let next = (status >>> 8) & 0xff;
      for (let i = 0; i < RECORDS; i++, next = (next + 1) % RECORDS) {
        const high = unit.read(REG.FRCD + next * 16 + 8, 8);
        if (high >> 63n === 0n) break;
        const address = Number(unit.read(REG.FRCD + next * 16, 8));
        const sourceId = Number(high & 0xffffn);
        const number = (address - faultAddress(sourceId, 0)) / 4096;
        if (high !== 0xc000_0004_0000_0000n + BigInt(sourceId) && high !== 0xc000_0006_0000_0000n + BigInt(sourceId))
          problems.push(`high 0x${high.toString(16)}`);
        if (!(number > (newest.get(sourceId) ?? Number.POSITIVE_INFINITY) && number < 2 ** 24))
          problems.push(`fault ${number} of ${sourceId} after ${newest.get(sourceId)}`);
        newest.set(sourceId, number);
        seen++;
        unit.write(REG.FRCD + next * 16 + 12, 4, 0x8000_0000);
      }
      if ((unit.read(REG.FSTS, 4) & 1) === 0) continue;
      overflows++;
      unit.write(REG.FSTS, 4, 1);
    }
  };
  Atomics.store(control, 2, 1);
  let interrupts = 0;
  for (let round = 0; round < ROUNDS && problems.length === 0; round++) {
    // Everything has been served, so that the next fault has to send the event.
    if (Atomics.wait(control, 0, interrupts, 2000) === 'timed-out') problems.push('no event for two seconds');
    // This thread out of the way, the records fill.
    Atomics.wait(control, 1, DEVICES.length, 1);
    interrupts = Atomics.load(control, 0);
    serve();
  }
  Atomics.store(control, 2, 2);
  const faults = await Promise.all(devices.map(({ ended }) => ended));
  serve();
  expect(problems).toEqual([]);
  const { recorded, overflowed } = unit.faults.counters;
  expect(recorded + overflowed).toBe(faults[0]! + faults[1]!);
  expect(seen).toBe(recorded);
  // Both threads did get faults recorded, and the ring was full at times.
  expect(Math.min(...newest.values())).toBeGreaterThan(100);
  expect(seen).toBeGreaterThan(ROUNDS);
  expect(overflows).toBeGreaterThan(0);
});

test('VT-d 4.0 §7.3.1, IO-30: a thread that is ended anywhere in a burst that faults leaves no lock, no burst, and a log that goes on', async () => {
  const memory = HostMemory.create(0x40_0000);
  const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
  const owner = new Owner(memory, words);
  const unit = owner.newUnit(4);
  const domain = owner.domain(1);
  const sourceId = 0x18;
  owner.requesters.attach(sourceId, domain);
  translateBy(unit, owner.requesters.root);
  unit.write(REG.FECTL, 4, 0);
  const registers = unit.registers.shared;
  for (let round = 0; round < 24; round++) {
    const control = new Int32Array(new SharedArrayBuffer(12));
    const [unitOwner, busOwner] = [unit.newOwner(), newBusOwner(words)];
    const order: FaultOrder = { memory: memory.wasm!, words, registers, sourceId, control, unitOwner, busOwner };
    const { worker, ended } = await startThread<number>('fault-thread.ts', order);
    ended.catch(() => {});
    while (Atomics.load(control, 1) === 0) Atomics.wait(control, 1, 0, 10);
    Atomics.store(control, 2, 1);
    // Let it fault for a while, serving what it records, then end it wherever it is.
    for (const end = performance.now() + 1 + (round % 7) / 3; performance.now() < end; ) serveRecords();
    await worker.terminate();
    unit.evict(unitOwner);
    evictThread(words, busOwner);
    // Each would wait for ever for what the dead thread holds: a command, an invalidation that waits for bursts.
    translateBy(unit, owner.requesters.root);
    domain.map(0x1_0000, 0x1_0000, 0x1000, 1);
    domain.unmap(0x1_0000, 0x1000);
    serveRecords();
    expect(unit.read(REG.FSTS, 4) & 2).toBe(0);
  }

  /** Serve everything; a record that is there is in the summary. */
  function serveRecords(): void {
    for (let index = 0; index < 4; index++) unit.write(REG.FRCD + index * 16 + 12, 4, 0x8000_0000);
    unit.write(REG.FSTS, 4, 1);
  }
});
