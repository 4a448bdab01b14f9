/**
 * What each of two threads does with one side of a queue: bundled and run in a worker, see `driver-threads.test.ts`.
 * The driver sends buffers with a sequence number each, the device answers every second one; both sleep when they find
 * nothing to do, and are woken by the other's notification alone.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { HostMemory, IdentitySpace, type WasmMemory } from '@ringwire/guest-memory';
import { featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { BufferList } from '../buffer-list.js';
import { ChainBurst } from '../chain-burst.js';
import { openDeviceQueue, openDriverQueue } from '../open-queue.js';
import { isRefusal, type QueueConfig } from '../queue-layout.js';
import { UsedBurst } from '../used-burst.js';

export interface ThreadOrder {
  readonly side: 'driver' | 'device';
  readonly memory: WasmMemory;
  readonly features: readonly number[];
  readonly size: number;
  readonly count: number;
}

/** Host offsets: words that are rung, the ring's parts, and 64 bytes per buffer id. */
const READY = 0x40;
const DEVICE_BELL = 0x80;
const DRIVER_BELL = 0xc0;
const AT = { desc: 0x1000, driver: 0x4000, device: 0x5000, buffers: 0x1_0000 } as const;
/** Longer than any thread is kept waiting; a sleep that lasts so long was a lost notification. */
const SLEEP_MS = 20_000;

const answerTo = (sequence: number): number => Math.imul(sequence, 0x9e37_79b1) >>> 0;

function run({ side, memory: wasm, features, size, count }: ThreadOrder): number {
  const memory = HostMemory.adopt(wasm);
  const config: QueueConfig = { space: new IdentitySpace(memory), size, ...AT, features: featureWords(features) };
  return side === 'driver' ? drive(config, memory, count) : serve(config, memory, count);
}

/** Wait for the bell to ring once more. `heard` is what it said before the last look at the ring. */
function sleep(memory: HostMemory, bell: number, heard: number): void {
  if (Atomics.wait(memory.i32, bell >> 2, heard, SLEEP_MS) === 'timed-out') throw new Error('nobody rang');
}

function ring(memory: HostMemory, bell: number): void {
  Atomics.add(memory.i32, bell >> 2, 1);
  Atomics.notify(memory.i32, bell >> 2);
}

/** @returns times it slept */
function drive(config: QueueConfig, memory: HostMemory, count: number): number {
  const queue = openDriverQueue(config);
  const { u32, i32 } = memory;
  Atomics.store(i32, READY >> 2, 1);
  Atomics.notify(i32, READY >> 2);
  const burst = new UsedBurst(config.size);
  const pair = new BufferList(2);
  const sequenceOf = new Uint32Array(config.size);
  // A buffer's bytes are those of its place; places of used buffers are used again.
  const places = Array.from({ length: config.size }, (_, at) => AT.buffers + 64 * at);
  const placeOf = new Uint32Array(config.size);
  let sent = 0;
  let done = 0;
  let sleeps = 0;
  while (done < count) {
    const heard = Atomics.load(i32, DRIVER_BELL >> 2);
    // Batches of ever other sizes, so that both sides find the ring empty, full and in between.
    for (let batch = 1 + ((sent * 7) % 61); batch > 0 && sent < count && queue.free >= 2; batch--) {
      const place = places.pop()!;
      u32[place >> 2] = sent;
      u32[(place + 4) >> 2] = ~sent;
      u32[(place + 32) >> 2] = 0;
      const id =
        sent % 2 === 0
          ? queue.addReadable(place, 8)
          : queue.add(
              pair
                .clear()
                .addReadable(place, 8)
                .addWritable(place + 32, 4),
            );
      sequenceOf[id] = sent++;
      placeOf[id] = place;
    }
    if (queue.publish()) ring(memory, DEVICE_BELL);
    burst.clear();
    const used = queue.takeUsed(burst, config.size);
    for (let i = 0; i < used; i++) {
      const id = burst.token[i]!;
      const sequence = sequenceOf[id]!;
      const place = placeOf[id]!;
      const wanted = sequence % 2 === 0 ? 0 : 4;
      if (burst.outcome[i] !== 0 || burst.written[i] !== wanted)
        throw new Error(`buffer ${sequence} came back with ${burst.written[i]} bytes`);
      if (wanted > 0 && u32[(place + 32) >> 2] !== answerTo(sequence))
        throw new Error(`buffer ${sequence} came back with another's answer`);
      places.push(place);
    }
    done += used;
    if (queue.broken !== 0) throw new Error(`broken: ${queue.broken}`);
    const isStuck = used === 0 && (sent === count || queue.free < 2);
    if (!isStuck || queue.enableNotifications(sent % 3 === 0 ? 8 : 0)) continue;
    sleep(memory, DRIVER_BELL, heard);
    sleeps++;
    queue.disableNotifications();
  }
  if (queue.outstanding !== 0) throw new Error(`${queue.outstanding} buffers are left`);
  return sleeps;
}

/** @returns times it slept */
function serve(config: QueueConfig, memory: HostMemory, count: number): number {
  const { u32, i32 } = memory;
  Atomics.wait(i32, READY >> 2, 0, SLEEP_MS);
  const queue = openDeviceQueue(config);
  if (isRefusal(queue)) throw new Error(queue.message);
  const burst = new ChainBurst(32);
  const inOrder = hasFeature(config.features, VIRTIO_F.IN_ORDER);
  let next = 0;
  let sleeps = 0;
  while (next < count) {
    const heard = Atomics.load(i32, DEVICE_BELL >> 2);
    burst.clear();
    const taken = queue.takeBurst(burst, 1 + (next % 32));
    for (let i = 0; i < taken; i++) {
      const word = burst.segments.offset[burst.first[i]!]! >> 2;
      if (burst.fault[i] !== 0 || u32[word] !== next || u32[word + 1] !== ~next >>> 0)
        throw new Error(`buffer ${next} came as ${u32[word]}, fault ${burst.fault[i]}`);
      if (next % 2 === 1) {
        u32[burst.segments.offset[burst.firstWritable[i]!]! >> 2] = answerTo(next);
        burst.written[i] = 4;
      }
      next++;
    }
    // Now and then the newest first.
    if (!inOrder && next % 5 === 0) for (let i = taken - 1; i >= 0; i--) queue.putUsedBurst(burst, i, 1);
    else queue.putUsedBurst(burst, 0, taken);
    if (queue.publishUsed()) ring(memory, DRIVER_BELL);
    if (queue.ringFault !== 0) throw new Error(`ring fault: ${queue.ringFault}`);
    if (taken > 0 || queue.enableNotifications()) continue;
    sleep(memory, DEVICE_BELL, heard);
    sleeps++;
    queue.disableNotifications();
  }
  return sleeps;
}

parentPort?.postMessage(run(workerData as ThreadOrder));
