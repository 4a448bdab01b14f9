import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { FramePieces } from './frame-pieces.js';
import { SENT } from './net-tx-queue.js';
import type { ReceivedFrame } from './received-frame.js';
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

  test('handlers that throw leave a driver that works, and what the first one threw comes out when its turn is over', () => {
    const mistake = new Error('a handler');
    const told: number[] = [];
    const events = {
      frame: (frame: ReceivedFrame): void => {
        told.push(frame.bytes()[12]!);
        throw mistake;
      },
      sent: (cookie: number): void => {
        told.push(cookie);
        throw mistake;
      },
    };
    const stage = new NetStage({ ...way, setup: { events } });
    const driver = stage.open();
    for (const type of [1, 2]) stage.deliver(withHeader(frameOf(60, type)));
    expect(() => stage.interrupt(driver)).toThrow(mistake);
    expect(driver.counters.rxFrames).toBe(2);
    expect(told.splice(0)).toHaveLength(2);
    expect(driver.poll()).toBe(0);
    // Buffers went back: more frames than there are buffers still come up.
    for (let i = 0; i < 300; i++) {
      expect(stage.deliver(withHeader(frameOf(60)))).toBe(1);
      expect(() => stage.interrupt(driver)).toThrow(mistake);
    }
    expect(driver.counters.rxFrames).toBe(302);
    told.length = 0;
    const page = stage.pages.allocate(4096);
    expect(driver.send(new FramePieces().add(page, 60), undefined, 0, 7)).toBe(SENT.OK);
    expect(() => driver.close()).toThrow(mistake);
    expect([driver.state, told]).toEqual(['closed', [7]]);
    stage.pages.free(page);
    expect(stage.pages.inUse).toBe(0);
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
