import { PF_REG, PF_ROW, RX_QUEUE, rowAt, TX_QUEUE, VF_REG, vfRxAt, vfTxAt } from '@ringwire/nic-spec/ixgbe';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AT, frameOf, IxgbeStage, RAM, RAM_BYTES } from './testing/ixgbe-stage.js';
import { ipv4Frame, ipv6Frame, tagged } from './testing/packets.js';

/** Registers that matter, and any. */
const vfRegister = fc.oneof(
  fc.constantFrom(...Object.values(VF_REG)),
  fc
    .tuple(fc.nat(3), fc.constantFrom(...Object.values(RX_QUEUE), ...Object.values(TX_QUEUE)), fc.boolean())
    .map(([queue, register, isRx]) => (isRx ? vfRxAt(queue, register) : vfTxAt(queue, register)) & ~3),
  fc.nat(0x3fff).map((at) => at & ~3),
);
const pfRegister = fc.oneof(
  fc.constantFrom(...Object.values(PF_REG)),
  fc.tuple(fc.constantFrom(...Object.values(PF_ROW)), fc.nat(127)).map(([row, index]) => rowAt(row, index % row.count)),
  fc.nat(0x1_ffff).map((at) => at & ~3),
);
const value = fc.oneof(
  fc.constantFrom(0, 1, 0x80, 0x0200_0000, 0x4200_0000, 0x0400_0000, 0xffff_ffff, 0x10, RAM % 2 ** 32, 0x2b30_003c),
  fc.nat(0x1_0000),
  fc.nat(0xffff_ffff),
);
/** Words of descriptors, most of them nearly right. */
const words = fc.oneof(
  fc.tuple(
    fc.constantFrom(AT.buffers, AT.frames, RAM_BYTES - 8, 0xffff_fff0),
    fc.constantFrom(0x10, 0x10, 0x10, 0, 0xffff_ffff),
    fc
      .tuple(
        fc.constantFrom(0x2b30_0000, 0xab30_0000, 0x6b30_0000, 0x2020_0c00, 0x2030_0000, 0x0f00_0000),
        fc.nat(1600),
      )
      .map(([command, length]) => command + length),
    fc.tuple(fc.nat(1600), fc.nat(0x3fff)).map(([length, options]) => length * 2 ** 14 + options),
  ),
  fc.tuple(value, value, value, value),
);
const frame = fc.oneof(
  fc.nat(1600).map((length) => frameOf(length)),
  fc.constantFrom(ipv4Frame(), ipv6Frame({ protocol: 17 }), tagged(ipv4Frame({ protocol: 17 }), 0x6123)),
  fc.uint8Array({ minLength: 1, maxLength: 200 }),
);

type Deed = (stage: IxgbeStage) => void;
const deeds = (isOfPf: boolean): fc.Arbitrary<Deed> =>
  fc.oneof(
    fc.tuple(vfRegister, value).map(
      ([at, word]): Deed =>
        ({ vfs }) =>
          vfs[0]!.write(at, word),
    ),
    vfRegister.map(
      (at): Deed =>
        ({ vfs }) =>
          void vfs[0]!.read(at),
    ),
    fc.tuple(fc.boolean(), fc.nat(7), words).map(
      ([isRx, index, four]): Deed =>
        ({ vfs }) =>
          vfs[0]!.putWords((isRx ? AT.rx : AT.tx) + 16 * index, ...four),
    ),
    fc.tuple(fc.nat(15), fc.nat(15)).map(
      ([rx, tx]): Deed =>
        ({ vfs }) => {
          vfs[0]!.write(vfRxAt(0, RX_QUEUE.RDT), rx);
          vfs[0]!.write(vfTxAt(0, TX_QUEUE.TDT), tx);
        },
    ),
    fc.constant<Deed>((stage) => {
      stage.vfs[0]!.openRx();
      stage.vfs[0]!.openTx();
    }),
    frame.map(
      (bytes): Deed =>
        ({ ports }) =>
          void ports[1]!.bring(bytes, 50),
    ),
    fc.nat(70).map(
      (budget): Deed =>
        (stage) =>
          void stage.step(budget),
    ),
    ...(isOfPf
      ? [
          fc.tuple(pfRegister, value).map(
            ([at, word]): Deed =>
              ({ pf }) =>
                pf.write(at, word),
          ),
          pfRegister.map(
            (at): Deed =>
              ({ pf }) =>
                void pf.read(at),
          ),
          frame.map(
            (bytes): Deed =>
              ({ ports }) =>
                void ports[0]!.bring(bytes, 33),
          ),
        ]
      : []),
  );

function stageOf(): IxgbeStage {
  const stage = new IxgbeStage();
  stage.enable(2);
  stage.openPools();
  for (const vf of stage.vfs) {
    vf.openRx();
    vf.openTx();
    vf.openInterrupts();
    vf.post([0, 1, 2, 3].map((i) => RAM + AT.buffers + 0x800 * i));
  }
  return stage;
}

test('SR-07, SR-08: whatever a virtual function’s driver does, nothing of its sibling changes, and the sibling still works', () => {
  fc.assert(
    fc.property(fc.array(deeds(false), { maxLength: 40 }), (list) => {
      const stage = stageOf();
      const sibling = stage.vfs[1]!;
      const before = stage.snapshotOf(sibling);
      for (const deed of list) deed(stage);
      stage.step();
      expect(stage.snapshotOf(sibling) === before).toBe(true);
      sibling.put(AT.frames, frameOf(60));
      sibling.putWords(AT.tx, AT.frames, 0x10, 0x2b30_003c, 60 << 14);
      sibling.write(vfTxAt(0, TX_QUEUE.TDT), 1);
      stage.step();
      stage.ports[2]!.bring(frameOf(60));
      expect([stage.ports[2]!.sent.length, sibling.words(AT.rx, 4)[2], sibling.takeMessages()]).toEqual([1, 3, [1, 0]]);
    }),
    { numRuns: 60 },
  );
});

test('whatever the drivers of both functions do, nothing throws, and a step ends', () => {
  fc.assert(
    fc.property(fc.array(deeds(true), { maxLength: 60 }), (list) => {
      const stage = stageOf();
      for (const deed of list) deed(stage);
      for (let i = 0; i < 3; i++) expect(stage.step(16)).toBeLessThan(16 * 300);
    }),
    { numRuns: 100 },
  );
});
