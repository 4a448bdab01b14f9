import { COMMAND, SENT } from '@ringwire/guest-drivers';
import type { HostMemory } from '@ringwire/guest-memory';
import { describe, expect, test } from 'vitest';
import { LIFE } from './control-layout.js';
import { DeviceThread, type ThreadOptions } from './device-thread.js';
import { threadScratchBytes } from './handover.js';
import { MAC, NetSide, netMemory, RAM, TRANSPORTS, type TransportName } from './testing/net-thread.js';
import type { NetModelConfig } from './thread-config.js';
import { type SpawnWorker, spawnWorker, type ThreadWorker } from './thread-worker.js';

const PAIRS = 4;
const FLOWS = 40;
const OUTSTANDING = 200;
const SCRATCH = 0x180_0000;
const loopback = (lane: number) =>
  ({ type: 'loopback', at: 0x190_0000 + lane * 0x20_0000, bytes: 0x20_0000, frames: 512 }) as const;
const RSS = {
  hashTypes: 0x3f,
  key: Uint8Array.from({ length: 40 }, (_, at) => (at * 37 + 11) & 0xff),
  table: Array.from({ length: 128 }, (_, at) => at % PAIRS),
  unclassified: 0,
  transmitQueues: PAIRS,
};

/** A device whose frames come back, each by the thread that sent it. */
function device(
  transport: TransportName,
  memory: HostMemory,
  queueThreads: number,
  options: ThreadOptions = {},
  change: Partial<NetModelConfig> = {},
): DeviceThread {
  const backends = Array.from({ length: queueThreads }, (_, lane) => loopback(lane));
  const backend = queueThreads === 1 ? backends[0]! : backends;
  return new DeviceThread(
    {
      transport,
      memory: memory.wasm!,
      space: { type: 'regions', regions: [RAM] },
      model: { type: 'net', mac: MAC, pairs: PAIRS, scratch: SCRATCH, holdWhenFull: true, backend, ...change },
    },
    options,
  );
}

/** A UDP datagram of one of the flows, with its number and its flow's. */
function flowFrame(flow: number, number: number): Uint8Array {
  const frame = new Uint8Array(100);
  const view = new DataView(frame.buffer);
  frame.set([...MAC, 2, 0, 0, 0, 0, 9, 8, 0, 0x45, 0, 0, 86, 0, 0, 0x40, 0, 64, 17]);
  frame.set([10, 0, 0, 2, 10, 0, 0, 1], 26);
  view.setUint16(34, 1000 + flow);
  view.setUint16(36, 9);
  view.setUint16(38, 66);
  view.setUint32(50, flow);
  view.setUint32(54, number);
  return frame;
}

/** A driver with four pairs, and what it received: by flow the pair, frames out of turn, and how many. */
class Receiver {
  readonly side: NetSide;
  readonly pairOf = new Map<number, number>();
  readonly next = new Uint32Array(FLOWS);
  readonly told: string[] = [];
  received = 0;
  moved = 0;
  outOfTurn = 0;
  private sent = 0;
  private lost = 0;

  constructor(thread: DeviceThread, memory: HostMemory) {
    this.side = new NetSide(
      thread.link,
      memory,
      {
        frame: (frame) => {
          const view = new DataView(frame.bytes().buffer);
          const [flow, number] = [view.getUint32(50), view.getUint32(54)];
          if (number < this.next[flow]!) this.outOfTurn++;
          this.next[flow] = number + 1;
          if (this.pairOf.get(flow) !== frame.pair) this.moved++;
          this.pairOf.set(flow, frame.pair);
          this.received++;
        },
        broken: (why, again) => this.told.push(again ? 'to be tried again' : `broken: ${why.message}`),
        restarted: () => this.told.push('restart'),
      },
      {
        pairs: PAIRS,
        messages: Array.from({ length: 2 * PAIRS + 2 }, (_, data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data })),
        recovery: { tries: 5, pause: 1 },
        patience: { tries: 10_000 },
      },
    );
  }

  /** Send a frame of the next flow, by a pair that has nothing to do with where it is to come back. */
  send(): boolean {
    const flow = this.sent % FLOWS;
    const frame = flowFrame(flow, Math.floor(this.sent / FLOWS));
    if (this.side.driver.sendBytes(frame, undefined, flow % PAIRS) !== SENT.OK) return false;
    this.sent++;
    return true;
  }

  /** Send so many more frames, until all that were sent came back, but for those that are known to be lost. */
  async exchange(frames: number): Promise<void> {
    const end = this.sent + frames;
    const outstanding = (): number => this.sent - this.received - this.lost;
    for (let idle = 0; this.sent < end || outstanding() > 0; ) {
      while (this.sent < end && outstanding() < OUTSTANDING && this.send());
      idle = this.side.attend(10) ? 0 : idle + 1;
      if (idle === 1000) throw new Error(`${outstanding()} frames did not come back`);
      if (idle % 10 === 9) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** What is under way comes, or was lost. */
  settle(): void {
    while (this.side.attend(200));
    this.lost = this.sent - this.received;
  }

  /** The device was reset: what was under way is lost, and comes where it may. */
  async startOver(): Promise<void> {
    this.settle();
    this.pairOf.clear();
    // Behind the command by which the driver itself takes all pairs into use again.
    await this.ask((done) => this.commands.rss.configure(RSS, done));
  }

  /** Wait for the answer to a control command. */
  async ask(request: (done: (outcome: number) => void) => void): Promise<void> {
    let outcome = -1;
    request((answered) => {
      outcome = answered;
    });
    for (let idle = 0; outcome < 0; idle++) {
      this.side.attend(10);
      if (idle === 1000) throw new Error('a command was not answered');
    }
    expect(outcome).toBe(COMMAND.OK);
  }

  get commands() {
    return this.side.driver.commands!;
  }
}

test('scratch for several threads lies behind each other, with room for what they hand over', () => {
  expect(threadScratchBytes(1)).toBe(2064);
  expect(threadScratchBytes(2)).toBe(3 * 2112 + 2 * 0x4_0000);
  expect(threadScratchBytes(4)).toBe(5 * 2112 + 12 * 0x4_0000);
});

test('more threads than pairs, and scratch that is not aligned, are mistakes', () => {
  const memory = netMemory();
  expect(() => device('mmio', memory, 2, {}, { pairs: 1 })).toThrow(
    'model.backend is 2, want at most one for each of 1',
  );
  expect(() => device('mmio', memory, 2, {}, { scratch: SCRATCH + 4 })).toThrow('want a multiple of 64');
});

describe.each(TRANSPORTS)('four pairs in two threads, %s', (transport) => {
  test('RSS: every flow arrives in order, in the queue that one thread would choose', async () => {
    const chosen: Map<number, number>[] = [];
    for (const queueThreads of [1, 2]) {
      const memory = netMemory();
      const thread = device(transport, memory, queueThreads);
      const receiver = new Receiver(thread, memory);
      await receiver.ask((done) => receiver.commands.rss.configure(RSS, done));
      await receiver.exchange(10 * FLOWS);
      receiver.moved = 0;
      await receiver.exchange(400 * FLOWS);
      expect([receiver.outOfTurn, receiver.moved, receiver.received]).toEqual([0, 0, 410 * FLOWS]);
      expect(new Set(receiver.pairOf.values()).size).toBe(PAIRS);
      chosen.push(receiver.pairOf);
      receiver.side.driver.close();
      await thread.close();
    }
    expect(chosen[1]).toEqual(chosen[0]);
  });

  test('once a command is answered, no thread works by what held before', async () => {
    const memory = netMemory();
    const thread = device(transport, memory, 2);
    const receiver = new Receiver(thread, memory);
    const { commands } = receiver;
    for (let round = 0; round < 20; round++) {
      // Automatic steering: what comes back of a flow goes where the flow left, also when another thread looks.
      await receiver.ask((done) => commands.setPairs(PAIRS, done));
      await receiver.exchange(5 * FLOWS);
      expect([...receiver.pairOf].filter(([flow, pair]) => flow % PAIRS !== pair)).toEqual([]);
      // Frames are under way between the threads while all of them are told to use one pair.
      for (let n = 0; n < 150; n++) receiver.send();
      await receiver.ask((done) => commands.rss.configure({ ...RSS, table: [1], unclassified: 1 }, done));
      await receiver.exchange(0);
      await receiver.exchange(FLOWS);
      expect(new Set(receiver.pairOf.values())).toEqual(new Set([1]));
    }
    receiver.side.driver.close();
    await thread.close();
  });

  test('what all threads counted is one answer, and what one of them saved is in one snapshot', async () => {
    const memory = netMemory();
    const thread = device(transport, memory, 2);
    const receiver = new Receiver(thread, memory);
    const { commands } = receiver;
    await receiver.ask((done) => commands.rss.configure(RSS, done));
    await receiver.exchange(10 * FLOWS);
    await receiver.ask((done) => commands.stats.query((outcome) => done(outcome)));
    const counted = async (name: 'RX_BASIC' | 'TX_BASIC', counter: string): Promise<bigint[]> => {
      const all: bigint[] = [];
      const odd = name === 'TX_BASIC' ? 1 : 0;
      const wishes = Array.from({ length: PAIRS }, (_, pair) => ({ index: 2 * pair + odd, types: [name] }));
      await receiver.ask((done) =>
        commands.stats.get(wishes, (outcome, stats) => {
          all.push(...stats.map(({ counters }) => BigInt(counters[counter]!)));
          done(outcome);
        }),
      );
      return all;
    };
    const perPair = BigInt((10 * FLOWS) / PAIRS);
    expect(await counted('TX_BASIC', 'tx_packets')).toEqual(Array.from({ length: PAIRS }, () => perPair));
    const came = await counted('RX_BASIC', 'rx_packets');
    expect([came.length, came.reduce((sum, count) => sum + count, 0n)]).toEqual([PAIRS, 10n * BigInt(FLOWS)]);
    const { snapshot, reasons } = await thread.save();
    const used = snapshot.queues.slice(0, 2 * PAIRS).map(({ counters }) => BigInt(counters!.used));
    expect(used.filter((_, index) => index % 2 === 1)).toEqual(Array.from({ length: PAIRS }, () => perPair));
    expect(used.filter((_, index) => index % 2 === 0)).toEqual(came);
    expect(reasons.filter((reason) => /ring|fault|broken/i.test(reason))).toEqual([]);
    // A thread that still falls asleep changes what is said: two looks agree once all of them rest.
    let before = reasons;
    let now = await thread.explain();
    for (let looks = 0; looks < 100 && now.join() !== before.join(); looks++) {
      before = (await thread.save()).reasons;
      now = await thread.explain();
    }
    expect(now).toEqual(before);
    receiver.side.driver.close();
    await thread.close();
  });

  test('suspended, or with a queue reset, threads stop where the driver says, and go on', async () => {
    const memory = netMemory();
    const thread = device(transport, memory, 2);
    const receiver = new Receiver(thread, memory);
    const { driver } = receiver.side;
    await receiver.ask((done) => receiver.commands.rss.configure(RSS, done));
    for (let round = 0; round < 10; round++) {
      for (let n = 0; n < 100; n++) receiver.send();
      driver.suspend();
      expect(driver.state).toBe('suspended');
      const { snapshot } = await thread.save();
      const still = await thread.save();
      expect(still.snapshot.queues).toEqual(snapshot.queues);
      driver.resume();
      await receiver.exchange(FLOWS);
      for (let n = 0; n < 50; n++) receiver.send();
      // What is in a queue that is reset is lost; the others, of the same thread and of the other, go on.
      driver.restartPair(round % PAIRS);
      receiver.settle();
      await receiver.exchange(5 * FLOWS);
    }
    expect([driver.state, receiver.told]).toEqual(['running', []]);
    driver.close();
    await thread.close();
  });

  test('a queue thread that is ended within a burst: DEVICE_NEEDS_RESET, and the reset brings another one', async () => {
    const memory = netMemory();
    const workers: ThreadWorker[] = [];
    const spawn: SpawnWorker = (url, events) => {
      const worker = spawnWorker(url, events);
      workers.push(worker);
      return worker;
    };
    const died: string[] = [];
    const thread = device(transport, memory, 2, { spawn, died: (reason) => died.push(reason) });
    const receiver = new Receiver(thread, memory);
    const { driver } = receiver.side;
    for (const round of [1, 2]) {
      await receiver.ask((done) => receiver.commands.rss.configure(RSS, done));
      await receiver.exchange(10 * FLOWS);
      for (let n = 0; n < 150; n++) receiver.send();
      workers.at(-1)!.terminate();
      for (let turn = 0; receiver.told.length < 2 * round; turn++) {
        if (turn === 1000) throw new Error(`${receiver.told}, ${driver.state}, ${thread.deathReason}, ${died}`);
        receiver.side.attend(10);
        driver.watch();
        // The event loop, where the worker's end is heard of.
        await new Promise((resolve) => setImmediate(resolve));
      }
      expect(died).toHaveLength(round);
      expect(died[round - 1]).toMatch(/^queue thread 1: /);
      await receiver.startOver();
    }
    await receiver.exchange(10 * FLOWS);
    expect([thread.link.life, thread.deaths, workers.length]).toEqual([LIFE.RUNNING, 0, 5]);
    expect([driver.state, receiver.told]).toEqual([
      'running',
      ['to be tried again', 'restart', 'to be tried again', 'restart'],
    ]);
    // The control thread itself: all threads are made anew.
    workers[0]!.terminate();
    while (died.length < 3) await new Promise((resolve) => setImmediate(resolve));
    for (let turn = 0; receiver.told.length < 6; turn++) {
      if (turn === 1000) throw new Error(`${receiver.told}, ${driver.state}, ${thread.deathReason}, ${died}`);
      receiver.side.attend(10);
      driver.watch();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await receiver.startOver();
    await receiver.exchange(10 * FLOWS);
    expect([thread.deaths, workers.length, driver.state]).toEqual([1, 8, 'running']);
    driver.close();
    await thread.close();
  });
});
