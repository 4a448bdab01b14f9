import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { SENT } from './net-tx-queue.js';
import { frameOf, NetStage, WAYS, withHeader } from './testing/net-stage.js';

describe.each(WAYS)('%s', (_, way) => {
  test('a frame that is sent reaches the device behind a header of zeros', () => {
    const stage = new NetStage(way);
    const driver = stage.open();
    const frame = frameOf(100);
    expect(driver.sendBytes(frame)).toBe(SENT.OK);
    expect(stage.takeSent()).toEqual([withHeader(frame)]);
  });

  test('a frame that the device delivers comes up without its header, and its buffer goes back', () => {
    const stage = new NetStage({ ...way, features: [VIRTIO_F.EVENT_IDX] });
    const driver = stage.open();
    for (let i = 0; i < 100; i++) {
      stage.deliver(withHeader(frameOf(60 + i, i)));
      stage.interrupt(driver);
    }
    expect(stage.heard.map(({ bytes }) => bytes)).toEqual(Array.from({ length: 100 }, (__, i) => frameOf(60 + i, i)));
    expect(driver.counters.rxFrames).toBe(100);
  });

  test('a frame over several mergeable buffers comes up in one piece', () => {
    const stage = new NetStage({ ...way, features: [VIRTIO_NET_F.MRG_RXBUF], setup: { mergeableBytes: 128 } });
    const driver = stage.open();
    const frame = frameOf(500);
    expect(stage.deliver(withHeader(frame, { 10: 4 }))).toBe(4);
    stage.interrupt(driver);
    expect(stage.heard.map(({ bytes }) => bytes)).toEqual([frame]);
  });
});
