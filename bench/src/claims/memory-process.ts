import { readFileSync } from 'node:fs';
import { FrameBurst, FramePool, openPciTransport, openPollDriver, type PollNetDriver } from '@ringwire/guest-drivers';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { opened } from '../net-driver-side.js';
import { CardMachine, newCardMemory } from './card-machine.js';
import { pollFeatures } from './poll-station.js';

/** What a process of its own says of its memory, in bytes. */
export interface MemoryReport {
  readonly guestRam: number;
  /** Resident in all: guests' RAM, Node, the machine, and the drivers. */
  readonly resident: number;
  /** Of that, what is this process's alone; undefined where the platform does not say. */
  readonly own: number | undefined;
  /** Frames that arrived, of those that were sent over every queue pair. */
  readonly arrived: number;
  readonly sent: number;
}

const GUESTS = 8;
const PAIRS = 8;
const QUEUE_SIZE = 256;
const RAM_BYTES = 32 << 20;
const FRAME_BYTES = 60;
const BURST = 16;
const TURNS = 200;

// 8 guests with 8 queue pairs each, on virtual functions of one card: all of their RAM is in use, and frames went over every
// queue. In a process of its own, so that it is nobody else's memory that is counted.
const plan = {
  vfs: new Array<'virtio'>(GUESTS).fill('virtio'),
  now: () => performance.now() * 1000,
  ramBytes: RAM_BYTES,
  pairs: PAIRS,
  eswitch: { floating: true },
};
const memory = newCardMemory(plan);
// Guests use their memory: none of it is left out because nobody touched it.
memory.engine.fill(0, 1, GUESTS * RAM_BYTES);
const machine = new CardMachine(plan, memory);
machine.enable(machine.hosts[0]!);
const features = pollFeatures('split', VIRTIO_NET_F.MQ, VIRTIO_NET_F.CTRL_VQ);
const guests = machine.guests.map((guest) => {
  const dma = machine.dma(guest);
  const pool = new FramePool(dma, { buffers: 3 * PAIRS * QUEUE_SIZE });
  const transport = opened(openPciTransport(machine.access(guest)));
  const driver = opened(openPollDriver({ transport, dma, pool, features, pairs: PAIRS, queueSize: QUEUE_SIZE }));
  return { guest, pool, driver };
});
for (let turn = 0; turn < TURNS; turn++) {
  machine.step(BURST);
  for (const { driver } of guests) driver.pollCommands();
}

/** Resident memory that is no file's: what a program's code takes is every process's that runs it. */
function ownBytes(): number | undefined {
  try {
    const found = /^RssAnon:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    return found === null ? undefined : Number(found[1]) * 1024;
  } catch {
    return undefined;
  }
}

const out = new FrameBurst(BURST);
let sent = 0;
let arrived = 0;

/** A burst on a pair of one guest, to the next one. */
function send(from: number, pair: number): void {
  const { pool, driver, guest } = guests[from]!;
  const to = machine.guests[(from + 1) % GUESTS]!;
  out.clear();
  const taken = pool.takeBurst(out, BURST);
  for (let i = 0; i < taken; i++) {
    const at = pool.dataOf(out.frame[i]!);
    pool.memory.u8.set(to.mac, at);
    pool.memory.u8.set(guest.mac, at + 6);
    pool.memory.u8.set([0x88, 0xb5], at + 12);
    pool.setLength(out.frame[i]!, FRAME_BYTES);
    out.length[i] = FRAME_BYTES;
  }
  const count = driver.txBurst(pair, out);
  for (let i = count; i < taken; i++) pool.put(out.frame[i]!);
  sent += count;
}

function take(driver: PollNetDriver, pool: FramePool): void {
  for (let pair = 0; pair < PAIRS; pair++) {
    for (let came = BURST; came > 0; arrived += came) {
      out.clear();
      came = driver.rxBurst(pair, out);
      pool.putBurst(out.frame, came);
    }
    driver.reclaim(pair);
  }
}

for (let turn = 0; turn < TURNS; turn++) {
  for (let from = 0; from < GUESTS; from++) {
    for (let pair = 0; pair < guests[from]!.driver.activePairs; pair++) send(from, pair);
    machine.step(BURST * PAIRS);
    for (const { driver, pool } of guests) take(driver, pool);
  }
}
if (guests.some(({ driver }) => driver.activePairs !== PAIRS)) throw new Error('a guest has fewer queue pairs in use');
const report: MemoryReport = {
  guestRam: GUESTS * RAM_BYTES,
  resident: process.memoryUsage().rss,
  own: ownBytes(),
  arrived,
  sent,
};
process.stdout.write(JSON.stringify(report));
