import { DELIVERED, type Delivered, type Frame } from '@ringwire/net-backend';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { describe, expect, test } from 'vitest';
import { FlowTable } from './flow-table.js';
import { NET_DROP } from './net-drop.js';
import type { HandedFrames, NetShare } from './net-share.js';
import { arrivedAt, flow } from './testing/flows.js';
import { hex } from './testing/frames.js';
import { LAYOUTS, NetBench } from './testing/net-bench.js';
import { tcp4 } from './testing/packets.js';

const MQ = [VIRTIO_NET_F.CTRL_VQ, VIRTIO_NET_F.MQ];
const FOUR_PAIRS = hex('04 00 0400');
const ONE_PAIR = hex('04 00 0100');

/** Serves even pairs; what goes to odd ones is kept, and brought back as from another thread. */
class FakeShare implements NetShare {
  readonly flows: Int32Array = new Int32Array(8192);
  answer: Delivered = DELIVERED.ACCEPTED;
  readonly handed: { pair: number; note: number; value: number; stamp: number; bytes: number }[] = [];
  /** To be brought in the next step: the frame that was handed over last, as for this pair and of this time. */
  bring: { pair: number; stamp: number } | undefined = undefined;
  readonly outcomes: Delivered[] = [];
  private last: Frame | undefined = undefined;

  serves(pair: number): boolean {
    return pair % 2 === 0;
  }

  handOver(frame: Frame, pair: number, note: number, value: number, stamp: number): Delivered {
    if (this.answer === DELIVERED.ACCEPTED) this.handed.push({ pair, note, value, stamp, bytes: frame.length });
    this.last = frame;
    return this.answer;
  }

  flush(): void {}

  pump(_budget: number, to: HandedFrames): number {
    const { bring, last } = this;
    if (bring === undefined || last === undefined) return 0;
    this.bring = undefined;
    this.outcomes.push(to.takeHanded(last, bring.pair, 0, bring.stamp));
    return 1;
  }

  clear(): void {}
}

describe.each(LAYOUTS)('%s: a network device that serves some of the pairs', (layout) => {
  function shared(options = {}): { bench: NetBench; share: FakeShare; there: number[] } {
    const whole = new NetBench(layout, MQ, { pairs: 4 });
    whole.control(FOUR_PAIRS);
    const there = Array.from({ length: 8 }, (_, n) => arrivedAt(whole, 4, tcp4(flow(n))));
    const share = new FakeShare();
    const bench = new NetBench(layout, MQ, { pairs: 4, share, ...options });
    bench.device.obey(FOUR_PAIRS);
    return { bench, share, there };
  }

  test('puts frames for its pairs into their queues, and hands over those for other ones', () => {
    const { bench, share, there } = shared();
    const came = there.map((_, n) => arrivedAt(bench, 4, tcp4(flow(n))));
    expect(came).toEqual(there.map((pair) => (pair % 2 === 0 ? pair : -1)));
    const odd = there.filter((pair) => pair % 2 === 1);
    expect(odd.length).toBeGreaterThan(0);
    expect(share.handed.map(({ pair, note, stamp }) => [pair, note & 0xffff, stamp])).toEqual(
      odd.map((pair) => [pair, pair, 1]),
    );
    // A queue that is off is off wherever it is served.
    const pair = odd[0]!;
    bench.port.close(2 * pair);
    bench.device.queueChanged(2 * pair);
    const count = share.handed.length;
    arrivedAt(bench, 4, tcp4(flow(there.indexOf(pair))));
    expect(share.handed.slice(count).map((handed) => handed.pair)).not.toContain(pair);
  });

  test('takes what is handed to it where it was steered to, and steers it anew when a command came between', () => {
    const { bench, share, there } = shared();
    const frame = tcp4(flow(there.findIndex((pair) => pair % 2 === 1)));
    arrivedAt(bench, 4, frame);
    share.bring = { pair: 2, stamp: 1 };
    bench.step();
    expect([0, 1, 2, 3].map((pair) => bench.collect(2 * pair).length)).toEqual([0, 0, 1, 0]);
    bench.device.obey(ONE_PAIR);
    share.bring = { pair: 2, stamp: 1 };
    bench.step();
    expect([0, 1, 2, 3].map((pair) => bench.collect(2 * pair).length)).toEqual([1, 0, 0, 0]);
    expect(share.outcomes).toEqual([DELIVERED.ACCEPTED, DELIVERED.ACCEPTED]);
  });

  test.each([true, false])(
    'without room for what is handed over the frame waits, or is lost: holds %s',
    (holdWhenFull) => {
      const { bench, share, there } = shared({ holdWhenFull });
      share.answer = DELIVERED.FULL;
      arrivedAt(bench, 4, tcp4(flow(there.findIndex((pair) => pair % 2 === 1))));
      expect(bench.backend.outcomes.at(-1)).toBe(holdWhenFull ? DELIVERED.FULL : DELIVERED.DROPPED);
      expect(bench.device.drops[NET_DROP.RX_NO_BUFFER]).toBe(holdWhenFull ? 0 : 1);
      // It is offered again soon, whoever else may have nothing to say.
      expect(bench.device.deadline() < Number.POSITIVE_INFINITY).toBe(holdWhenFull);
    },
  );
});

test('a flow that one thread learns is known to the others', () => {
  const words = new Int32Array(8192);
  const [learner, user] = [new FlowTable(words), new FlowTable(words)];
  learner.set(0xdead_beef, 3);
  expect([user.get(0xdead_beef), user.get(0x0ead_beef), user.get(1)]).toEqual([3, -1, -1]);
});
