import { DELIVERED } from '@ringwire/net-backend';
import { describe, expect, test } from 'vitest';
import { frameOf, join, plainHeader } from '../net/testing/frames.js';
import { LAYOUTS, NetBench } from '../net/testing/net-bench.js';
import { DeviceBench } from '../testing/device-bench.js';
import { RecordingModel } from '../testing/recording-model.js';
import { explainModel, queuesInUse } from './explain-net.js';
import { sentence } from './reason.js';
import { snapshotDevice } from './snapshot-device.js';
import type { DeviceSnapshot, ModelSnapshot } from './snapshot-types.js';

/** Feature bits by hand, virtio 1.4 §5.1.3. */
const CTRL_VQ = 17;
const MQ = 22;
const NOTF_COAL = 53;

const around = (model: ModelSnapshot | null): DeviceSnapshot => ({
  ...snapshotDevice(new DeviceBench('mmio', new RecordingModel()).device),
  model,
});

/** What is said of a device, with its level. */
const told = (bench: NetBench): string[] =>
  explainModel(around(bench.device.snapshot())).map((reason) => `${reason.level}: ${sentence(reason)}`);

describe.each(LAYOUTS)('a network device with %s rings:', (layout) => {
  test('nothing is said of one that is well', () => {
    const bench = new NetBench(layout, []);
    bench.transmit([join(plainHeader(), frameOf(60))]);
    bench.step();
    expect(told(bench)).toEqual([]);
  });

  test('a backend without room, until it has some', () => {
    const bench = new NetBench(layout, []);
    bench.backend.answer = DELIVERED.FULL;
    bench.transmit([join(plainHeader(), frameOf(60))]);
    bench.step();
    expect(told(bench)).toEqual([
      'problem: Queue 1: the backend had no room for its next frame, which waits in the ring.',
    ]);
    bench.backend.answer = DELIVERED.ACCEPTED;
    bench.step();
    expect(told(bench)).toEqual([]);
  });

  test('frames that were lost, by whose fault, and a cable that is out', () => {
    const bench = new NetBench(layout, []);
    bench.transmit([join(plainHeader(), frameOf(1600))]);
    bench.transmit([join(plainHeader(), frameOf(1600))]);
    bench.backend.deliver(frameOf(60));
    bench.step();
    bench.device.setLink(false);
    expect(told(bench)).toEqual([
      'problem: The link is down: frames are dropped in both directions.',
      'problem: Given up as TX_LONG_FRAME, 2 times: longer than the MTU allows.',
      'note: Given up as RX_NO_BUFFER, 1 time: the driver had not posted enough receive buffers.',
    ]);
  });

  test('a notification that waits for others', () => {
    const bench = new NetBench(layout, [CTRL_VQ, NOTF_COAL]);
    // VIRTIO_NET_CTRL_NOTF_COAL, TX_SET: 8 packets, 1000 µs.
    expect([...bench.control([6, 0, 8, 0, 0, 0, 0xe8, 3, 0, 0])]).toEqual([0]);
    bench.transmit([join(plainHeader(), frameOf(60))]);
    bench.step();
    expect(told(bench)).toEqual(['note: Queue 1: a notification is owed and waits to be coalesced with later ones.']);
  });

  test('the queues that frames need are those of the pairs in use, and the control queue', () => {
    const bench = new NetBench(layout, [CTRL_VQ, MQ], { pairs: 4 });
    expect([...queuesInUse(around(bench.device.snapshot()))!]).toEqual([0, 1, 8]);
    bench.control([4, 0, 2, 0]);
    expect([...queuesInUse(around(bench.device.snapshot()))!]).toEqual([0, 1, 2, 3, 8]);
  });
});

test('of a type that adds nothing all queues are needed', () => {
  expect(queuesInUse(around(null))).toBeUndefined();
  expect(explainModel(around(null))).toEqual([]);
});

test('a reason that another version counts is passed on by its name', () => {
  const model = { ...new NetBench('split', []).device.snapshot(), drops: { TX_LATER: 3 } };
  expect(explainModel(around(model)).map(sentence)).toEqual([
    'Given up as TX_LATER, 3 times: this version knows no such reason.',
  ]);
});
