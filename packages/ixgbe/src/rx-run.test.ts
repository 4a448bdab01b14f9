import { ETHERNET } from '@ringwire/net-offload';
import { ETQF, ETQS, MRQC, PF_REG, PF_ROW, RX_QUEUE, rowAt, SRRCTL, VF_REG, vfRxAt } from '@ringwire/nic-spec/ixgbe';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AT, frameOf, IxgbeStage, RAM, RAM_BYTES } from './testing/ixgbe-stage.js';
import { ipv4Frame, ipv6Frame, tagged } from './testing/packets.js';

const RINGS = 0x400;
const BUFFERS = 0x800;
const HEADER = ETHERNET.SIZE;
const headerOf = (frame: Uint8Array): Uint8Array => frame.slice(0, HEADER);
const restOf = (frame: Uint8Array): Uint8Array => frame.slice(HEADER);

/** How one function is set up, and what comes. */
interface Scene {
  readonly descriptor: number;
  readonly units: number;
  /** By descriptor: offset of its buffer from where it would be. */
  readonly shifts: readonly number[];
  readonly hasRss: boolean;
  readonly hasFilter: boolean;
  readonly isGroup: boolean;
  readonly bursts: readonly (readonly Uint8Array[])[];
}

const { DESCTYPE_ADV_ONE_BUFFER, DESCTYPE_LEGACY, DESCTYPE_ADV_SPLIT, DROP_EN } = SRRCTL;

/** Of one EtherType, so that they may come together. */
const burst: fc.Arbitrary<readonly Uint8Array[]> = fc.oneof(
  fc.array(
    fc.constantFrom(60, 60, 61, 124, 1514, 1519, 14).map((length) => frameOf(length)),
    {
      minLength: 1,
      maxLength: 9,
    },
  ),
  fc.array(
    fc
      .record({
        protocol: fc.constantFrom(6, 17, 132),
        checksums: fc.constantFrom('right', 'wrong'),
        from: fc.nat(0xffff),
        payload: fc.array(fc.nat(255), { maxLength: 90 }),
      })
      .map((options) => ipv4Frame(options as Parameters<typeof ipv4Frame>[0])),
    { minLength: 1, maxLength: 9 },
  ),
  fc.array(fc.constantFrom(ipv6Frame(), ipv6Frame({ protocol: 17, from: 7 })), { minLength: 1, maxLength: 5 }),
  fc.array(fc.constant(tagged(ipv4Frame(), 7)), { minLength: 1, maxLength: 3 }),
);
const scene: fc.Arbitrary<Scene> = fc.record({
  descriptor: fc.constantFrom(DESCTYPE_ADV_ONE_BUFFER, DESCTYPE_ADV_ONE_BUFFER, DESCTYPE_LEGACY, DESCTYPE_ADV_SPLIT),
  units: fc.constantFrom(1, 2, 2, DROP_EN | 2),
  shifts: fc.array(fc.constantFrom(0, 0, 0, 0, 2, 3, RAM_BYTES), { minLength: 7, maxLength: 7 }),
  hasRss: fc.boolean(),
  hasFilter: fc.boolean(),
  isGroup: fc.boolean(),
  bursts: fc.array(burst, { minLength: 1, maxLength: 4 }),
});

/** Everything that came of a scene. */
function play(of: Scene, isTogether: boolean): { readonly state: unknown; readonly together: number } {
  const stage = new IxgbeStage();
  stage.enable(1);
  stage.openPools(2);
  const vf = stage.vfs[0]!;
  const { pf } = stage;
  if (of.hasRss) {
    pf.write(PF_REG.MRQC, MRQC.VMDQ_RSS_64 | MRQC.RSS_IPV4 | MRQC.RSS_TCP_IPV4 | MRQC.RSS_UDP_IPV4);
    for (let i = 0; i < PF_ROW.RSSRK.count; i++) pf.write(rowAt(PF_ROW.RSSRK, i), 0x1234_5678 * (i + 1));
    for (let i = 0; i < 32; i++) pf.write(rowAt(PF_ROW.RETA, i), 0x0100_0100);
    vf.write(VF_REG.VFPSRTYPE, 1 << 29);
  }
  if (of.hasFilter) {
    pf.write(rowAt(PF_ROW.ETQF, 2), (ETQF.FILTER_EN | 0x88b5) >>> 0);
    pf.write(rowAt(PF_ROW.ETQS, 2), (ETQS.QUEUE_EN | (1 << ETQS.QUEUE_SHIFT)) >>> 0);
  }
  for (const queue of [0, 1]) {
    vf.openRx(queue, of.descriptor | of.units, 0, RINGS * queue);
    const buffers = of.shifts.map((shift, i) => RAM + AT.frames + (8 * queue + i) * BUFFERS + shift);
    vf.post(buffers, 0, queue, RINGS * queue);
  }
  vf.openInterrupts();
  stage.step();
  const port = stage.ports[1]!;
  let together = 0;
  for (const frames of of.bursts) {
    const header = headerOf(frames[0]!);
    if (of.isGroup) header[0] = 0x33;
    if (isTogether) together += port.bringRun(header, frames.map(restOf));
    else for (const frame of frames) port.bringOpen(Uint8Array.of(...header, ...restOf(frame)));
    port.device!.flush!();
  }
  const { rx, missed, oversize, misbehaviors } = stage.card.statistics;
  const counts = [rx.frames, rx.bytes, rx.multicast, rx.broadcast, ...rx.sizes, missed, oversize, misbehaviors];
  const stopped = [PF_ROW.WQBR_RX, PF_ROW.WQBR_TX].map((row) => pf.read(rowAt(row, 0)));
  return { state: { vf: stage.snapshotOf(vf), counts, stopped }, together };
}

test('what comes together is received as what comes one by one: bytes, write-backs, queues, counters, messages', () => {
  let together = 0;
  fc.assert(
    fc.property(scene, (of) => {
      const alone = play(of, false);
      const run = play(of, true);
      expect(run.state).toEqual(alone.state);
      together += run.together;
    }),
    { numRuns: 150 },
  );
  expect(together).toBeGreaterThan(100);
});

function open(): IxgbeStage {
  const stage = new IxgbeStage();
  stage.enable(1);
  stage.openPools();
  stage.vfs[0]!.openRx();
  stage.vfs[0]!.post([0, 1, 2, 3, 4, 5, 6].map((i) => RAM + AT.buffers + i * BUFFERS));
  return stage;
}

test.each([
  ['without IP', frameOf(60)],
  ['UDP of IPv4', ipv4Frame({ protocol: 17, payload: new Array<number>(20).fill(5) })],
])('SR-17: frames together have the header that was decided on, whatever lies in memory by now: %s', (_, frame) => {
  const stage = open();
  const forged = headerOf(tagged(ipv6Frame(), 5));
  const header = headerOf(frame);
  expect(stage.ports[1]!.bringRun(header, [restOf(frame), restOf(frame)], forged)).toBe(2);
  const vf = stage.vfs[0]!;
  for (const i of [0, 1]) expect(vf.get(AT.buffers + i * BUFFERS, frame.length)).toEqual(frame);
  const second = vf.words(AT.rx + 16, 4);
  const alone = open();
  alone.ports[1]!.bring(frame);
  expect(second).toEqual(alone.vfs[0]!.words(AT.rx, 4));
});

test('SR-29: behind a short frame in a run lies what the driver had there', () => {
  const stage = open();
  const vf = stage.vfs[0]!;
  const old = Uint8Array.from({ length: 4 * BUFFERS }, (_, i) => (i * 31 + 7) & 0xff);
  vf.put(AT.buffers, old);
  const frame = frameOf(60);
  stage.ports[1]!.bringRun(headerOf(frame), [restOf(frameOf(1514)), restOf(frame)]);
  expect(vf.get(AT.buffers + BUFFERS + 60, BUFFERS - 60)).toEqual(old.slice(BUFFERS + 60, 2 * BUFFERS));
  expect(vf.get(AT.buffers + 1514, BUFFERS - 1514)).toEqual(old.slice(1514, BUFFERS));
});

test('a frame that does not fit ends a run; those behind it come', () => {
  const stage = open();
  const lengths = [60, 1519, 60];
  expect(
    stage.ports[1]!.bringRun(
      headerOf(frameOf(60)),
      lengths.map((n) => restOf(frameOf(n))),
    ),
  ).toBe(2);
  expect(stage.vfs[0]!.read(vfRxAt(0, RX_QUEUE.RDH))).toBe(2);
  expect(stage.card.statistics.oversize).toBe(1);
});
