import { parentPort, workerData } from 'node:worker_threads';
import { SENT } from '@ringwire/guest-drivers';
import {
  answerTo,
  FIRST_PING,
  FRAME_NUMBER_AT,
  LAST_PING,
  numberFrame,
  pingFrame,
  pingNumber,
  streamFrame,
} from './frames.js';
import { Guest, type GuestJob } from './guest.js';

/** A frame as it was sent. */
export interface CapturedFrame {
  /** ms since 1970. */
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** What a worker is to do: the first guest pings and streams, the second one answers and counts. */
export interface WorkerJob extends GuestJob {
  readonly role: 'first' | 'second';
  readonly macs: readonly Uint8Array[];
  readonly pings: number;
  /** Frames of the stream. */
  readonly frames: number;
  /** Most frames to capture. */
  readonly captured: number;
}

/** What came of it. */
export interface GuestResult {
  /** Answered echo requests. */
  readonly pings: number;
  /** Frames of the stream that came, each in its turn, and those out of turn or given up by the driver. */
  readonly frames: number;
  readonly wrong: number;
  readonly interrupts: number;
  /** That the stream took. */
  readonly seconds: number;
  readonly sent: readonly CapturedFrame[];
}

const STREAM_BYTES = 256;
/** How soon a guest that does not answer is asked again. */
const RETRY_MS = 20;

const job = workerData as WorkerJob;
const { macs } = job;
const sent: CapturedFrame[] = [];
let pings = 0;
let next = 0;
let outOfTurn = 0;
let seconds = 0;
let isHeard = false;
let isOver = false;

const guest: Guest = new Guest(job, (frame) => {
  if (frame.length === STREAM_BYTES) {
    const number = guest.memory.view.getUint32(frame.ranges.offset[0]! + FRAME_NUMBER_AT, true);
    if (number === next) next++;
    else outOfTurn++;
    return;
  }
  const bytes = frame.bytes();
  const answer = answerTo(bytes, macs);
  const number = pingNumber(bytes);
  if (answer !== undefined) {
    if (guest.driver.sendBytes(answer) === SENT.OK) capture(answer);
  } else if (number >= 0 && number < FIRST_PING) pings++;
  if (number === FIRST_PING) isHeard = true;
  if (number === LAST_PING) isOver = true;
});

function send(frame: Uint8Array): void {
  while (guest.driver.sendBytes(frame) !== SENT.OK) guest.attend();
  capture(frame);
}

function capture(frame: Uint8Array): void {
  // How often it takes to ask is luck.
  if (sent.length === job.captured || pingNumber(frame) === FIRST_PING) return;
  sent.push({ at: performance.timeOrigin + performance.now(), bytes: frame.slice() });
}

if (job.role === 'first') {
  // The other guest may be on its way yet: what is sent to it before it is there is lost.
  while (!isHeard) {
    send(pingFrame(macs, FIRST_PING));
    while (!isHeard && guest.attendFor(RETRY_MS));
  }
  for (let number = 0; number < job.pings; number++) {
    send(pingFrame(macs, number));
    while (pings <= number) guest.attend();
  }
  const begin = performance.now();
  const frame = streamFrame(macs, STREAM_BYTES);
  for (let number = 0; number < job.frames; number++) {
    numberFrame(frame, number);
    send(frame);
  }
  // Behind the stream: its answer says that all of it arrived.
  send(pingFrame(macs, LAST_PING));
  while (!isOver) guest.attend();
  seconds = (performance.now() - begin) / 1000;
} else while (!isOver) guest.attend();

const { interrupts, rxTooLong, rxShort, rxNumBuffers, rxMissing, rxMerge, rxOffload, txLost } = guest.driver.counters;
const givenUp = rxTooLong + rxShort + rxNumBuffers + rxMissing + rxMerge + rxOffload + txLost;
const result: GuestResult = { pings, frames: next, wrong: outOfTurn + givenUp, interrupts, seconds, sent };
parentPort?.postMessage(result);
