import { expect, test } from 'vitest';
import { FIRST_VF, HOST_CORE, macOf, nameOf, PathStage, PF } from '../testing/path-stage.js';
import { PoolClassifier } from './pool-classifier.js';

const BROADCAST = new Uint8Array(6).fill(0xff);

/** Two guests by their addresses; both hear broadcasts. */
function byAddress(): PoolClassifier {
  const classifier = new PoolClassifier({ pools: 2 });
  for (const guest of [0, 1]) {
    classifier.addStation(macOf(guest), guest);
    classifier.addStation(BROADCAST, guest);
  }
  return classifier;
}

function hypervisor(): PathStage {
  const stage = new PathStage();
  stage.hypervisor(byAddress());
  return stage.ready();
}

function assigned(isPosted: boolean): PathStage {
  const stage = new PathStage();
  stage.assigned(isPosted);
  return stage.ready();
}

const dma = (requesterId: number, memory: string, bytes = 60) => ({ step: 'dma', requesterId, memory, bytes });
const physical = (requesterId: number, core: number) => ({ step: 'physical interrupt', requesterId, vector: 1, core });
const parse = expect.objectContaining({ step: 'parse', core: HOST_CORE, bytes: 14, lines: 1 });
const copy = (guest: number, core: number, bytes = 60, lines = expect.any(Number)) => ({
  step: 'copy',
  core,
  guest: nameOf(guest),
  bytes,
  lines,
});
const virtual = (guest: number) => ({ step: 'virtual interrupt', guest: nameOf(guest), core: 1 + guest });

test('F78: a frame through the hypervisor takes five steps: DMA to the host, physical interrupt, parse, copy, virtual interrupt', () => {
  const stage = hypervisor();
  stage.wire(1, 7);
  stage.settle();
  expect(stage.take()).toEqual([dma(PF, 'host'), physical(PF, HOST_CORE), parse, copy(1, HOST_CORE), virtual(1)]);
  expect(stage.heard).toEqual([[], [7]]);
});

test('F79: a frame for a guest with a function of its own takes three: DMA to the guest, interrupt at its core, virtual interrupt', () => {
  const stage = assigned(false);
  stage.wire(1, 7);
  stage.settle();
  expect(stage.take()).toEqual([dma(FIRST_VF + 1, nameOf(1)), physical(FIRST_VF + 1, 2), virtual(1)]);
  expect(stage.heard).toEqual([[], [7]]);
});

test('with posted interrupts it takes two, and the host has no part in it', () => {
  const stage = assigned(true);
  stage.wire(1, 7);
  stage.settle();
  expect(stage.take()).toEqual([
    dma(FIRST_VF + 1, nameOf(1)),
    { step: 'posted interrupt', requesterId: FIRST_VF + 1, vector: 1, core: 2 },
  ]);
  expect(stage.heard).toEqual([[], [7]]);
});

test('F80: a card that sorts into queues of the host saves the parsing, and moves the interrupt to the guest’s core; the copy stays', () => {
  const stage = new PathStage();
  stage.pools();
  stage.ready();
  stage.wire(1, 7);
  stage.settle();
  expect(stage.take()).toEqual([dma(FIRST_VF + 1, 'host'), physical(FIRST_VF + 1, 2), copy(1, 2), virtual(1)]);
  expect(stage.heard).toEqual([[], [7]]);
});

test('a burst of frames for both guests: the interrupts are one for the burst and one for each guest, the rest is per frame', () => {
  const stage = hypervisor();
  for (const [number, guest] of [0, 1, 1, 0, 1].entries()) stage.wire(guest, number, 100 + number);
  stage.settle();
  const { totals } = stage.trace;
  expect(totals).toMatchObject({ dmas: 5, parses: 5, copies: 5, physicalInterrupts: 1, virtualInterrupts: 2 });
  expect([totals.dmaBytes, totals.copiedBytes]).toEqual([510, 510]);
  expect(stage.take()).toEqual([
    ...[100, 101, 102, 103, 104].map((bytes) => dma(PF, 'host', bytes)),
    physical(PF, HOST_CORE),
    ...[0, 1, 1, 0, 1].flatMap((guest, number) => [parse, copy(guest, HOST_CORE, 100 + number)]),
    virtual(0),
    virtual(1),
  ]);
  expect(stage.heard).toEqual([
    [0, 3],
    [1, 2, 4],
  ]);
});

test('the same burst for guests with functions of their own: nothing per frame but DMA, and an interrupt for each guest', () => {
  const stage = assigned(false);
  for (const [number, guest] of [0, 1, 1, 0, 1].entries()) stage.wire(guest, number, 100 + number);
  stage.settle();
  const { totals } = stage.trace;
  expect(totals).toMatchObject({ dmas: 5, parses: 0, copies: 0, copiedBytes: 0, lines: 0, postedInterrupts: 0 });
  expect(stage.take()).toEqual([
    ...[0, 1, 1, 0, 1].map((guest, number) => dma(FIRST_VF + guest, nameOf(guest), 100 + number)),
    physical(FIRST_VF, 1),
    virtual(0),
    physical(FIRST_VF + 1, 2),
    virtual(1),
  ]);
  expect(stage.heard).toEqual([
    [0, 3],
    [1, 2, 4],
  ]);
});

test('F77: two interrupts for each frame through the host, on two cores; with posted ones one, at the guest’s', () => {
  const counts = [hypervisor, () => assigned(true)].map((open) => {
    const stage = open();
    for (let number = 0; number < 50; number++) {
      stage.wire(number & 1, number);
      stage.settle();
    }
    const { physicalInterrupts, virtualInterrupts, postedInterrupts, copies, lines } = stage.trace.totals;
    expect(stage.heard.map((heard) => heard.length)).toEqual([25, 25]);
    return { interrupts: physicalInterrupts + virtualInterrupts + postedInterrupts, copies, reads: lines > 0 };
  });
  expect(counts).toEqual([
    { interrupts: 100, copies: 50, reads: true },
    { interrupts: 50, copies: 0, reads: false },
  ]);
});

test('a broadcast through the hypervisor is parsed once and copied for each guest; a frame for nobody goes no further', () => {
  const stage = hypervisor();
  const frame = new Uint8Array(64).fill(0xff, 0, 6);
  frame.set([2, 0, 0, 0, 0xff, 0xff, 0x88, 0xb5], 6);
  stage.wireBytes(frame);
  stage.settle();
  expect(stage.take().map(({ step }) => step)).toEqual([
    'dma',
    'physical interrupt',
    'parse',
    'copy',
    'copy',
    'virtual interrupt',
    'virtual interrupt',
  ]);
  frame.set([2, 9, 9, 9, 9, 9]);
  stage.wireBytes(frame);
  stage.settle();
  expect(stage.take().map(({ step }) => step)).toEqual(['dma', 'physical interrupt', 'parse']);
  expect(stage.paths[0]!.counters).toMatchObject({ delivered: 2, unknown: 1, lost: 0 });
});

test('guests behind the hypervisor reach each other in software, and the wire through its driver', () => {
  const stage = hypervisor();
  const frame = new Uint8Array(60);
  frame.set(macOf(1));
  frame.set(macOf(0), 6);
  frame.set([0x88, 0xb5, 0, 42], 12);
  const { sent } = stage.paths[0]!.counters;
  stage.guestDrivers[0]!.sendBytes(frame);
  stage.settle();
  expect(stage.take().map(({ step }) => step)).toEqual(['parse', 'copy', 'virtual interrupt']);
  expect([stage.heard, stage.paths[0]!.counters.sent]).toEqual([[[], [42]], sent]);
  frame.set([2, 0, 0, 0, 0xff, 0xff]);
  stage.guestDrivers[0]!.sendBytes(frame);
  stage.settle();
  expect(stage.paths[0]!.counters.sent).toBe(sent + 1);
});

test('a guest’s frame that is too long for the host’s driver is lost there, and counted; the path goes on', () => {
  const stage = new PathStage({ guestMtu: 4000 });
  stage.hypervisor(byAddress());
  stage.ready();
  const frame = new Uint8Array(3000);
  frame.set([2, 0, 0, 0, 0xff, 0xff]);
  frame.set(macOf(0), 6);
  frame.set([0x88, 0xb5], 12);
  stage.guestDrivers[0]!.sendBytes(frame);
  stage.settle();
  expect(stage.paths[0]!.counters.unsent).toBe(1);
  stage.wire(0, 1);
  stage.settle();
  expect(stage.heard[0]).toEqual([1]);
});

test('F76: each queue of a function has a vector and a core: flows of two queues interrupt two cores, and none a third', () => {
  const stage = new PathStage({ pairs: 2, cores: 4 });
  stage.assigned(false);
  // The driver's vectors: 0 configuration, then receive and transmit queue of either pair.
  stage.steering.steer(FIRST_VF, 1, 2);
  stage.steering.steer(FIRST_VF, 3, 3);
  stage.ready();
  const before = stage.steering.report();
  const pairs = new Set<number>();
  for (let port = 0; port < 40; port++) {
    stage.wireBytes(udpTo(macOf(0), 1000 + port));
    stage.settle();
    pairs.add(stage.lastPair);
  }
  const sent = (vector: number): number[] => {
    const at = (rows: typeof before) =>
      rows.find((row) => row.requesterId === FIRST_VF && row.vector === vector)?.messages ?? [0, 0, 0, 0];
    const was = at(before);
    return at(stage.steering.report()).map((count, core) => count - was[core]!);
  };
  expect(pairs).toEqual(new Set([0, 1]));
  const [first, second] = [sent(1), sent(3)];
  expect([first[0], first[1], first[3], second[0], second[1], second[2]]).toEqual([0, 0, 0, 0, 0, 0]);
  expect(first[2]! + second[3]!).toBe(40);
  expect(Math.min(first[2]!, second[3]!)).toBeGreaterThan(5);
});

/** An IPv4 packet of UDP without data. */
function udpTo(mac: Uint8Array, port: number): Uint8Array {
  const frame = new Uint8Array(60);
  frame.set(mac);
  frame.set(
    [2, 0, 0, 0, 0xff, 0xff, 0x08, 0x00, 0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2],
    6,
  );
  frame.set([port >> 8, port & 0xff, 0x10, 0x00, 0, 8, 0, 0], 34);
  return frame;
}

test('F76: the interrupt matrix says which vector reached which core, and which of them reached the wrong one', () => {
  const stage = assigned(false);
  // Guest 1's receive vector goes to the host's core for a while, as when nobody set its affinity.
  stage.steering.steer(FIRST_VF + 1, 1, HOST_CORE);
  const before = new Map(stage.steering.report().map((row) => [`${row.requesterId} ${row.vector}`, row]));
  for (let number = 0; number < 3; number++) {
    stage.wire(1, number);
    stage.settle();
  }
  stage.steering.release(FIRST_VF + 1, 1);
  stage.wire(1, 3);
  stage.settle();
  const row = stage.steering.report().find(({ requesterId, vector }) => requesterId === FIRST_VF + 1 && vector === 1)!;
  const was = before.get(`${FIRST_VF + 1} 1`) ?? { messages: [0, 0, 0], wrongCore: 0 };
  // Released, the message goes where its address in the MSI-X table says: core 2, as the guest's driver wrote it.
  expect(row.messages.map((count, core) => count - was.messages[core]!)).toEqual([3, 0, 1]);
  expect([row.wrongCore - was.wrongCore, row.posted]).toEqual([3, 0]);
  expect(stage.heard[1]).toEqual([0, 1, 2, 3]);
});
