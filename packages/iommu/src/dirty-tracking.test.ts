import { ACCESS, HostMemory } from '@ringwire/guest-memory';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DirtyLog } from './dirty-log.js';
import { gpaOf, LoggingDevice, MAPPED, newLog, PAGE, pageOf, RAM, SOURCE } from './testing/dirty-stage.js';
import type { DirtyOrder } from './testing/dirty-thread.js';
import type { MarkOrder } from './testing/mark-thread.js';
import { ScalableStage } from './testing/scalable-stage.js';
import { startThread } from './testing/start-thread.js';

const { READ, WRITE } = ACCESS;
const RW = READ | WRITE;

/** A guest's pages, mapped in an order of their own and from then on tracked. */
function setUp() {
  const stage = new ScalableStage();
  const domain = stage.domain(1);
  for (let n = 0; n < MAPPED; n++) domain.map(n * PAGE, RAM.host + pageOf(n) * PAGE, PAGE, RW);
  stage.requesters.attach(SOURCE, domain);
  domain.trackDirty();
  const byFlags = (): number[] =>
    domain
      .takeDirty(0, MAPPED * PAGE)
      .map(({ iova }) => gpaOf(iova))
      .sort((a, b) => a - b);
  return { stage, domain, byFlags, log: newLog(stage.memory) };
}

const anyDma = fc.record({
  page: fc.nat(RAM.pages - 1),
  into: fc.oneof(fc.constant(0), fc.constant(PAGE - 1), fc.nat(PAGE - 1)),
  length: fc.oneof(fc.constant(1), fc.constant(PAGE), fc.integer({ min: 1, max: 3 * PAGE })),
  access: fc.constantFrom(READ, WRITE, RW),
});
const anyRun = fc.array(fc.record({ burst: fc.array(anyDma, { maxLength: 8 }), take: fc.boolean() }), {
  maxLength: 20,
});

test('F23: the tables’ dirty flags and the log name the same pages, those that were written, for any run of DMA', () => {
  fc.assert(
    fc.property(anyRun, (run) => {
      const { stage, byFlags, log } = setUp();
      const device = new LoggingDevice(stage.memory, stage.bus, stage.requesters.rtaddr);
      for (const { burst, take } of [...run, { burst: [], take: true }]) {
        device.space.enter();
        for (const { page, into, length, access } of burst) {
          const iova = page * PAGE + into;
          // A request that runs from mapped into unmapped pages marks the first of them in the tables and writes nothing.
          if (iova < MAPPED * PAGE && iova + length > MAPPED * PAGE) continue;
          device.dma(iova, length, access, page);
        }
        device.space.leave();
        if (!take) continue;
        const wrote = [...device.wrote].map(gpaOf).sort((a, b) => a - b);
        expect(log.take()).toEqual(wrote);
        expect(byFlags()).toEqual(wrote);
        device.wrote.clear();
      }
    }),
    { numRuns: 60 },
  );
});

test('F23: a thread copies pages while another one’s device writes them: either way the copy ends up equal, byte for byte', async () => {
  const { stage, byFlags, log } = setUp();
  const control = new Int32Array(new SharedArrayBuffer(4));
  const order: DirtyOrder = {
    memory: stage.memory.wasm!,
    words: stage.words,
    rtaddr: stage.requesters.rtaddr,
    control,
  };
  const ram = stage.memory.u8.subarray(RAM.host, RAM.host + RAM.pages * PAGE);
  const ways = [byFlags, () => log.take()].map((take) => ({ take, copy: ram.slice(), pages: new Set<number>() }));
  const round = (): void => {
    for (const { take, copy, pages } of ways) {
      for (const gpa of take()) {
        const at = gpa - RAM.gpa;
        copy.set(ram.subarray(at, at + PAGE), at);
        pages.add(gpa);
      }
    }
  };
  const thread = await startThread<{ bursts: number; wrote: number[] }>('dirty-thread.ts', order);
  Atomics.wait(control, 0, 0, 10_000);
  let rounds = 0;
  for (const until = Date.now() + 1000; Date.now() < until; rounds++) round();
  Atomics.store(control, 0, 2);
  const { bursts, wrote } = await thread.ended;
  round();
  const expected = new Set(wrote.map(gpaOf));
  for (const { copy, pages } of ways) {
    expect(pages).toEqual(expected);
    expect(Buffer.compare(copy, ram)).toBe(0);
  }
  // Both sides were at it at the same time.
  expect(bursts).toBeGreaterThan(100);
  expect(rounds).toBeGreaterThan(10);
});

test('F23: of pages that one thread marks while another takes them none is lost, and none comes twice', async () => {
  const bytes = 128;
  const passes = 1000;
  const memory = HostMemory.create(0x1000);
  const log = new DirtyLog({ memory, base: 0, bytes, regions: [] });
  const control = new Int32Array(new SharedArrayBuffer(8));
  const order: MarkOrder = { memory: memory.wasm!, bytes, passes, control };
  const thread = await startThread<string>('mark-thread.ts', order);
  let wrong = 0;
  for (let pass = 1; pass <= passes; pass++) {
    const taken: number[] = [];
    Atomics.store(control, 0, pass);
    while (Atomics.load(control, 1) < pass) taken.push(...log.take());
    taken.push(...log.take());
    if (taken.length !== bytes * 8 || new Set(taken).size !== bytes * 8) wrong++;
  }
  expect(await thread.ended).toBe('done');
  expect(wrong).toBe(0);
});
