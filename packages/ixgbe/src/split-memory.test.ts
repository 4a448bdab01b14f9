import { DELIVERED } from '@ringwire/net-backend';
import { SRRCTL, TX_QUEUE, vfTxAt } from '@ringwire/nic-spec/ixgbe';
import { expect, test } from 'vitest';
import { frameOf, IxgbeStage, RAM, RAM_BYTES, type StageVf } from './testing/ixgbe-stage.js';
import { ipv4Frame } from './testing/packets.js';

const BORDER = RAM_BYTES / 2;
const DATA = 0x2b30_0000;

function stageOf(): { stage: IxgbeStage; vf: StageVf } {
  const stage = new IxgbeStage(undefined, true);
  stage.enable(1);
  stage.openPools();
  return { stage, vf: stage.vfs[0]! };
}

test.each([
  ['a receive ring', BORDER - 128, BORDER + 0x2000],
  ['a receive buffer', 0x8000, BORDER - 700],
])('%s that is two ranges of host memory is filled as if it were one', (_, ring, across) => {
  const { stage, vf } = stageOf();
  stage.pf.write(0x4240, 0x407);
  stage.pf.write(0x4268, 9018 * 2 ** 16);
  vf.openRx(0, SRRCTL.DESCTYPE_ADV_ONE_BUFFER | 1, 0, ring, 256);
  const buffers = [
    ...[0, 1, 2, 3, 4, 5].map((i) => 0x400 * i),
    BORDER - 0x2000 - 100,
    across,
    BORDER + 0x1000,
    BORDER - 0x5000,
    BORDER + 0x3000,
    BORDER - 0x6000,
    BORDER + 0x5000,
  ];
  vf.post(
    buffers.map((at) => RAM + at),
    0,
    0,
    ring,
    16,
  );
  for (let i = 0; i < 6; i++) stage.ports[1]!.bring(frameOf(60));
  for (const [first, length] of [
    [6, 2600],
    [9, 3000],
  ] as const) {
    const frame = frameOf(length, first);
    expect(stage.ports[1]!.bring(frame, 777)).toBe(DELIVERED.ACCEPTED);
    const got: number[] = [];
    for (let i = 0; i < 3; i++) {
      const [, , status, bytes] = vf.words(ring + 16 * (first + i), 4);
      expect(status! & 3).toBe(i === 2 ? 3 : 1);
      got.push(...vf.get(buffers[first + i]!, bytes!));
    }
    expect(got).toEqual([...frame]);
  }
});

test('a transmit ring and frames that are several ranges leave whole, with offloads and without', () => {
  const { stage, vf } = stageOf();
  vf.openTx(0, BORDER - 128, 256);
  const plain = frameOf(1000, 3);
  const open = ipv4Frame({ checksums: 'open', payload: new Array<number>(600).fill(9) });
  vf.put(BORDER - 0x800, plain);
  const place = (index: number, words: [number, number, number, number]): void =>
    vf.putWords(BORDER - 128 + 16 * index, ...words);
  // The frame lies before the ring, which lies across the border.
  for (let i = 0; i < 6; i++) place(i, [(RAM + BORDER - 0x800) % 2 ** 32, 0x10, (DATA | 1000) >>> 0, 1000 << 14]);
  place(6, [(14 << 9) | 20, 0, 0x2020_0c00, 0]);
  vf.put(BORDER + 0x100, open);
  place(7, [(RAM + BORDER + 0x100) % 2 ** 32, 0x10, (DATA | 100) & ~0x0100_0000, (open.length << 14) | 0x300]);
  place(8, [(RAM + BORDER + 0x100 + 100) % 2 ** 32, 0x10, (DATA | (open.length - 100)) >>> 0, 0]);
  vf.write(vfTxAt(0, TX_QUEUE.TDT), 9);
  stage.step();
  const expected = ipv4Frame({ payload: new Array<number>(600).fill(9) });
  expect(stage.ports[1]!.sent.map(({ bytes }) => bytes)).toEqual([...new Array<Uint8Array>(6).fill(plain), expected]);
  // A frame across the border itself.
  vf.openTx(1, 0x1000, 128);
  vf.put(BORDER - 400, plain);
  vf.putWords(0x1000, (RAM + BORDER - 400) % 2 ** 32, 0x10, (DATA | 1000) >>> 0, 1000 << 14);
  vf.write(vfTxAt(1, TX_QUEUE.TDT), 1);
  stage.step();
  expect(stage.ports[1]!.sent.at(-1)).toMatchObject({ bytes: plain, pair: 1 });
});
