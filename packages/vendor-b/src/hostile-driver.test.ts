import {
  ADMIN_OP,
  ADMIN_STATUS,
  RING_KIND,
  VB_DOORBELL,
  VB_FAULT,
  VB_REG,
  VB_STATUS,
} from '@ringwire/nic-spec/vendor-b';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { AT, ENTRIES, GENERATION, RawFunction, RX_RING, ringBytes, TX_RING } from './testing/raw-function.js';
import { frameTo, macOf, numberIn, RAM_BYTES, VendorBStage } from './testing/vendor-b-stage.js';

const { OK, BAD_OPCODE, BAD_PARAMETER, BAD_STATE } = ADMIN_STATUS;
const hex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/[0-9a-f]{2}/g)!, (byte) => Number.parseInt(byte, 16));
const faultOf = (raw: RawFunction): number => (raw.read(VB_REG.STATUS) >>> VB_STATUS.FAULT_SHIFT) & 0xff;

/** A function by hand, and a bystander whose driver must not notice. */
function stageOf(): { raw: RawFunction; stage: VendorBStage; check: () => void } {
  const stage = new VendorBStage();
  const [attacker, victim, peer] = stage.enable(3);
  victim!.drive();
  peer!.drive();
  const raw = new RawFunction(stage, attacker!);
  const check = (): void => {
    victim!.heard.length = 0;
    peer!.driver!.sendBytes(frameTo(macOf(1), macOf(2), 4711));
    stage.settle();
    expect(victim!.heard.map(numberIn)).toEqual([4711]);
    expect([victim!.driver!.state, peer!.driver!.state]).toEqual(['running', 'running']);
  };
  return { raw, stage, check };
}

test('vendor B datasheet §4, §5: two entries of a frame, hand-made, become one frame and one completion', () => {
  const { raw, stage } = stageOf();
  raw.openRings();
  const frame = frameTo(macOf(1), macOf(0), 9, 100);
  raw.write(AT.data, frame.subarray(0, 20));
  raw.write(AT.data + 0x800, frame.subarray(20, 25));
  raw.write(AT.data + 0x1000, frame.subarray(25));
  // SEND, MORE, cookie 0x1234, two segments: 20 bytes at 1_0001_0000, 5 bytes at 1_0001_0800.
  raw.entry(TX_RING, 0, hex('0101 3412 02000000 00000100 01001400 00080100 01000500 0000000000000000'));
  // SEND, the last one, one segment: 75 bytes at 1_0001_1000.
  raw.entry(TX_RING, 1, hex('0100 ffff 01000000 00100100 01004b00 0000000000000000 0000000000000000'));
  raw.produce(TX_RING, 2);
  stage.settle();
  expect(stage.sides.get(1)!.heard).toEqual([frame]);
  // Cookie 0x1234 of ring 1, 100 bytes, phase 1, status OK, two entries read.
  expect(raw.completion(0)).toEqual(hex('3412 0100 64000000 00000000 0100 0200'));
});

test('vendor B datasheet §4: a received frame fills segments in their order, and nothing behind its length is written', () => {
  const { raw, stage } = stageOf();
  raw.openRings();
  raw.write(AT.data, new Uint8Array(0x200).fill(0xee));
  raw.entry(RX_RING, 0, hex('0200 0100 02000000 00000100 01002000 80000100 01004000 0000000000000000'));
  raw.produce(RX_RING, 1);
  const frame = frameTo(macOf(0), macOf(1), 3, 70);
  stage.sides.get(1)!.driver!.sendBytes(frame);
  stage.settle();
  expect(raw.completion(0)).toEqual(hex('0100 0000 46000000 00000000 0100 0100'));
  expect(raw.bytes(AT.data, 0x20)).toEqual(frame.slice(0, 0x20));
  expect(raw.bytes(AT.data + 0x80, 38)).toEqual(frame.slice(0x20));
  expect(new Set([...raw.bytes(AT.data + 0x20, 0x60), ...raw.bytes(AT.data + 0x80 + 38, 0x100)])).toEqual(
    new Set([0xee]),
  );
});

test('the phase bit changes with each pass through the completion ring', () => {
  const { raw, stage } = stageOf();
  raw.openRings();
  raw.write(AT.data, frameTo(macOf(1), macOf(0), 9));
  for (let slot = 0; slot < ENTRIES; slot++)
    raw.entry(TX_RING, slot, hex('0100 0000 01000000 00000100 01003c00 0000000000000000 0000000000000000'));
  const phases: number[] = [];
  for (let sent = 1; sent <= 3 * ENTRIES; sent++) {
    raw.produce(TX_RING, sent);
    stage.nic.step(16);
    phases.push(raw.completion((sent - 1) % ENTRIES)[12]! & 1);
    raw.doorbell(0, VB_DOORBELL.COMPLETION, sent);
  }
  expect(phases).toEqual([...Array(ENTRIES).fill(1), ...Array(ENTRIES).fill(0), ...Array(ENTRIES).fill(1)]);
});

const WRONG: readonly (readonly [string, string, number])[] = [
  ['an unknown opcode', '0900 0000 01000000 00000100 01003c00', 1],
  ['a receive entry in the transmit ring', '0200 0000 01000000 00000100 01003c00', 1],
  ['an unknown flag', '0180 0000 01000000 00000100 01003c00', 2],
  ['a reserved byte', '0100 0000 01000001 00000100 01003c00', 2],
  ['no segment', '0100 0000 00000000 00000100 01003c00', 3],
  ['four segments', '0100 0000 04000000 00000100 01003c00', 3],
  ['an empty segment', '0100 0000 01000000 00000100 01000000', 3],
  ['MORE with nothing behind it', '0101 0000 01000000 00000100 01003c00', 4],
  ['13 bytes', '0100 0000 01000000 00000100 01000d00', 5],
  ['9217 bytes', '0100 0000 01000000 00000100 01000124', 5],
  ['an address that is no RAM', '0100 0000 01000000 00000000 ff7f3c00', 6],
  ['the last byte past the end of RAM', '0100 0000 01000000 d0ff0f00 01003c00', 6],
];
for (const [what, entry, status] of WRONG)
  test(`a work entry with ${what} costs itself alone: completed with status ${status}, the next one is sent`, () => {
    const { raw, stage, check } = stageOf();
    raw.openRings();
    raw.write(AT.data, frameTo(macOf(1), macOf(0), 9));
    raw.entry(TX_RING, 0, hex(`${entry} 0000000000000000 0000000000000000`));
    raw.produce(TX_RING, 1);
    stage.settle();
    expect(raw.completion(0)).toEqual(Uint8Array.of(0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 | (status << 1), 0, 1, 0));
    expect(stage.sides.get(1)!.heard).toEqual([]);
    raw.entry(TX_RING, 1, hex('0100 0000 01000000 00000100 01003c00 0000000000000000 0000000000000000'));
    raw.produce(TX_RING, 2);
    stage.settle();
    expect(stage.sides.get(1)!.heard.map(numberIn)).toEqual([9]);
    check();
  });

test('a chain of more than four entries is one buffer that fails; the device reads on behind its fourth', () => {
  const { raw, stage, check } = stageOf();
  raw.openRings();
  for (let slot = 0; slot < 5; slot++)
    raw.entry(TX_RING, slot, hex('0101 0000 01000000 00000100 01003c00 0000000000000000 0000000000000000'));
  raw.produce(TX_RING, 5);
  stage.settle();
  expect([0, 1].map((slot) => [raw.completion(slot)[12], raw.completion(slot)[14]])).toEqual([
    [1 | (4 << 1), 4],
    [1 | (4 << 1), 5],
  ]);
  check();
});

test('doorbells: of another generation, of pages without a ring, narrow ones and single words do nothing', () => {
  const { raw, stage, check } = stageOf();
  raw.openRings();
  raw.write(AT.data, frameTo(macOf(1), macOf(0), 9));
  raw.entry(TX_RING, 0, hex('0100 0000 01000000 00000100 01003c00 0000000000000000 0000000000000000'));
  raw.produce(TX_RING, 1, GENERATION + 1);
  raw.produce(2, 1);
  raw.produce(3, 1);
  raw.doorbell(TX_RING, 0x40, 1);
  raw.side.access.barWrite(0, 0x5000, 2, 1);
  raw.side.access.barWrite(0, 0x5004, 1, GENERATION);
  stage.settle();
  expect(stage.sides.get(1)!.heard).toEqual([]);
  expect(raw.side.function.counters.doorbellsIgnored).toBe(7);
  expect(raw.read(VB_REG.STATUS)).toBe(VB_STATUS.READY);
  check();
});

test('a doorbell with more entries than the ring has stops that ring for good, says so, and hurts nobody else', () => {
  const { raw, stage, check } = stageOf();
  raw.openRings();
  raw.produce(TX_RING, ENTRIES + 1);
  stage.settle();
  expect([faultOf(raw), raw.read(VB_REG.STATUS) >>> VB_STATUS.RING_SHIFT]).toEqual([
    VB_FAULT.SUBMISSION_INDEX,
    TX_RING,
  ]);
  expect(raw.read(VB_REG.STATUS) & (VB_STATUS.READY | VB_STATUS.FATAL)).toBe(VB_STATUS.FATAL);
  raw.produce(TX_RING, 1);
  stage.settle();
  expect(raw.completion(0)).toEqual(new Uint8Array(16));
  check();
  raw.register(VB_REG.RESET, 1);
  expect(raw.read(VB_REG.STATUS)).toBe(VB_STATUS.READY);
});

test('a consumer index beyond what was written stops the completion ring, and with it what completes there', () => {
  const { raw, stage, check } = stageOf();
  raw.openRings();
  raw.doorbell(0, VB_DOORBELL.COMPLETION, 1);
  expect(faultOf(raw)).toBe(VB_FAULT.COMPLETION_INDEX);
  raw.write(AT.data, frameTo(macOf(1), macOf(0), 9));
  raw.entry(TX_RING, 0, hex('0100 0000 01000000 00000100 01003c00 0000000000000000 0000000000000000'));
  raw.produce(TX_RING, 1);
  stage.settle();
  expect([stage.sides.get(1)!.heard, raw.completion(0)]).toEqual([[], new Uint8Array(16)]);
  check();
});

test('a completion ring that is full holds the transmit ring, and drops or holds what is received', () => {
  const { raw, stage, check } = stageOf();
  raw.openRings();
  raw.write(AT.data, frameTo(macOf(1), macOf(0), 9));
  for (let slot = 0; slot < ENTRIES; slot++)
    raw.entry(TX_RING, slot, hex('0100 0000 01000000 00000100 01003c00 0000000000000000 0000000000000000'));
  raw.produce(TX_RING, ENTRIES);
  stage.settle();
  raw.produce(TX_RING, ENTRIES + 1);
  stage.settle();
  expect(stage.sides.get(1)!.heard.length).toBe(ENTRIES);
  raw.doorbell(0, VB_DOORBELL.COMPLETION, 1);
  stage.settle();
  expect(stage.sides.get(1)!.heard.length).toBe(ENTRIES + 1);
  check();
});

test('commands with parameters that cannot be are refused, one by one, and no ring is made', () => {
  const { raw, check } = stageOf();
  const completion = (ring: Parameters<typeof ringBytes>[0]): number =>
    raw.command(ADMIN_OP.CREATE_COMPLETION_RING, ringBytes({ address: AT.completions, ...ring })).status;
  for (const wrong of [
    { id: 2 },
    { second: 4 },
    { entries: 0 },
    { entries: 4 },
    { entries: 12 },
    { entries: 8192 },
    { generation: 0 },
    { address: AT.completions + 32 },
    { address: 2 ** 48 },
  ])
    expect(completion(wrong), JSON.stringify(wrong)).toBe(BAD_PARAMETER);
  expect(completion({})).toBe(OK);
  expect(completion({})).toBe(BAD_STATE);
  const submission = (ring: Parameters<typeof ringBytes>[0]): number =>
    raw.command(ADMIN_OP.CREATE_SUBMISSION_RING, ringBytes({ address: AT.tx, ...ring })).status;
  for (const wrong of [{ id: 2 }, { second: 2 }, { partner: 1 }, { partner: 0xffff }, { entries: 7 }])
    expect(submission(wrong), JSON.stringify(wrong)).toBe(BAD_PARAMETER);
  expect(submission({ second: RING_KIND.TRANSMIT })).toBe(OK);
  expect(submission({ id: 1, second: RING_KIND.TRANSMIT })).toBe(BAD_STATE);
  expect(raw.command(0xffff).status).toBe(BAD_OPCODE);
  expect(raw.command(ADMIN_OP.VIRTIO_FEATURES).status).toBe(BAD_STATE);
  check();
});

test('a command buffer that is no RAM: the function says so, and works on', () => {
  const { raw, stage, check } = stageOf();
  raw.register(VB_REG.ADMIN_ADDRESS_HIGH, 0x7fff);
  raw.register(VB_REG.ADMIN_DOORBELL, 1);
  stage.settle();
  expect(faultOf(raw)).toBe(VB_FAULT.ADMIN_ADDRESS);
  check();
});

test('random bytes as entries, doorbells and commands: nothing throws, no byte beyond the function’s own RAM changes', () => {
  const { raw, stage, check } = stageOf();
  const others = [-1, 3].map((index) => (index + 1) * RAM_BYTES);
  const digest = (): Buffer =>
    Buffer.concat(others.map((at) => Buffer.from(stage.memory.u8.subarray(at, at + RAM_BYTES))));
  const before = digest();
  const step = fc.oneof(
    fc.record({ entry: fc.uint8Array({ minLength: 32, maxLength: 32 }), ring: fc.nat(1), slot: fc.nat(ENTRIES - 1) }),
    fc.record({
      page: fc.nat(4),
      at: fc.nat(0x40),
      low: fc.nat(24),
      generation: fc.constantFrom(GENERATION, 0, 0x8000_0007),
    }),
    fc.record({ opcode: fc.constantFrom(...Object.values(ADMIN_OP), 0x7f), bytes: fc.uint8Array({ maxLength: 60 }) }),
    fc.record({ register: fc.nat(0x40), value: fc.nat(3) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      raw.register(VB_REG.RESET, 1);
      raw.register(VB_REG.ADMIN_ADDRESS, AT.admin % 2 ** 32);
      raw.register(VB_REG.ADMIN_ADDRESS_HIGH, 1);
      raw.openRings();
      for (const one of steps) {
        if ('entry' in one) raw.entry(one.ring, one.slot, one.entry);
        else if ('page' in one) raw.doorbell(one.page, one.at, one.low, one.generation);
        else if ('opcode' in one) raw.command(one.opcode, one.bytes);
        else raw.register(one.register, one.value);
        stage.nic.step(4);
      }
      raw.register(VB_REG.RESET, 1);
    }),
    { numRuns: 150 },
  );
  expect(Buffer.compare(digest(), before)).toBe(0);
  check();
});
