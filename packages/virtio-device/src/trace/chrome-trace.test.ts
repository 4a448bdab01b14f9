import { expect, test } from 'vitest';
import { DeviceBench, SIZE } from '../testing/device-bench.js';
import { RecordingModel } from '../testing/recording-model.js';
import { ChromeTrace } from './chrome-trace.js';

interface TraceEvent {
  readonly ph: string;
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts?: number;
  readonly dur?: number;
  readonly args: { readonly taken?: number; readonly used?: number; readonly name?: string };
}

function traced(queueName?: (queue: number) => string): {
  trace: ChromeTrace;
  tick: (micros: number) => void;
  events: () => TraceEvent[];
} {
  let text = '';
  let now = 0;
  const trace = new ChromeTrace({
    output: (piece) => {
      text += piece;
    },
    clock: () => now,
    ...(queueName === undefined ? {} : { queueName }),
  });
  const events = (): TraceEvent[] => {
    trace.close();
    return JSON.parse(text).traceEvents;
  };
  return {
    trace,
    tick: (micros) => {
      now += micros;
    },
    events,
  };
}

const marks = (events: TraceEvent[]): TraceEvent[] => events.filter(({ ph }) => ph !== 'M');

test('a burst lasts from its first chain to the moment its used elements are visible', () => {
  const { trace, tick, events } = traced();
  trace.kicked(1, true);
  tick(5);
  trace.taken(1, 3);
  tick(2);
  trace.taken(1, 1);
  trace.put(1, 2);
  tick(3);
  trace.published(1, true);
  // Two are still in hand: they are of the next burst, which begins now.
  tick(1);
  trace.put(1, 2);
  trace.published(1, false);
  trace.published(1, false);
  expect(marks(events())).toEqual([
    { pid: 1, ph: 'i', s: 't', name: 'available buffer notification', tid: 3, ts: 0, args: {} },
    { pid: 1, ph: 'X', name: 'burst', ts: 5, dur: 5, tid: 3, args: { taken: 4, used: 2, notificationOwed: true } },
    { pid: 1, ph: 'X', name: 'burst', ts: 10, dur: 1, tid: 3, args: { taken: 2, used: 2, notificationOwed: false } },
  ]);
});

test('chains that all went back to the ring are a burst of their own', () => {
  const { trace, tick, events } = traced();
  trace.taken(0, 2);
  tick(4);
  trace.givenBack(0);
  trace.givenBack(0);
  tick(100);
  trace.taken(0, 1);
  trace.put(0, 1);
  tick(1);
  trace.published(0, false);
  expect(marks(events()).map(({ ts, dur, args }) => [ts, dur, args.taken, args.used])).toEqual([
    [0, 4, 0, 0],
    [104, 1, 1, 1],
  ]);
});

test('control plane, interrupts and each queue have a track with a name', () => {
  const { trace, events } = traced((queue) => (queue % 2 === 0 ? 'receiveq1' : 'transmitq1'));
  trace.register(true, 'queue_select', 2, 0x1f);
  trace.control('queue 0 enabled');
  trace.kicked(70_000, false);
  trace.notifiedUsed(0);
  trace.message(2);
  trace.notifiedConfig();
  trace.line(false);
  const all = events();
  const names = all.filter(({ name }) => name === 'thread_name').map(({ tid, args }) => [tid, args.name]);
  expect(names).toEqual([
    [0, 'control plane'],
    [1, 'interrupts'],
    [2, 'queue 0 receiveq1'],
  ]);
  expect(marks(all).map(({ tid, name, args }) => [tid, name, args])).toEqual([
    [0, 'write queue_select', { bytes: 2, value: '0x1f' }],
    [0, 'queue 0 enabled', {}],
    [0, 'available buffer notification ignored', { queue: 70_000 }],
    [2, 'used buffer notification', {}],
    [1, 'MSI-X vector 2', { vector: 2 }],
    [0, 'configuration change notification', {}],
    [1, 'line released', {}],
  ]);
});

test('what comes after the end is left out, and the end is written once', () => {
  const { trace, events } = traced();
  trace.control('a "quoted" phrase');
  trace.close();
  trace.control('late');
  expect(marks(events()).map(({ name }) => name)).toEqual(['a "quoted" phrase']);
});

test('a device at work writes a trace that can be read', () => {
  const { trace, events } = traced();
  const bench = new DeviceBench('pci', new RecordingModel({ queueSizes: [16] }), { trace });
  bench.start();
  for (let i = 0; i < 3; i++) bench.probe(0);
  bench.breakRing(0);
  bench.device.step(SIZE);
  const all = marks(events());
  expect(all.filter(({ ph }) => ph === 'X').map(({ args }) => args.used)).toEqual([1, 1, 1]);
  expect(all.some(({ name }) => name === 'DEVICE_NEEDS_RESET: queue 0 cannot be trusted: AVAIL_INDEX')).toBe(true);
});
