import { SENT } from '@ringwire/guest-drivers';
import { RECEIVE_MODE } from '@ringwire/nic-spec/vendor-b';
import { ReceiveTrace } from '@ringwire/sriov-nic';
import { expect, test } from 'vitest';
import { FIRST_VF, frameTo, macOf, numberIn, OWNERS, VendorBStage } from './testing/vendor-b-stage.js';

const BROADCAST = new Uint8Array(6).fill(0xff);

test('F38: frames go between the functions of vendor B’s card, every pair both ways, each byte as it was sent', () => {
  const stage = new VendorBStage();
  const sides = [stage.host(), ...stage.enable(3)];
  for (const side of sides) side.drive();
  for (const from of sides)
    for (const to of sides) {
      if (to === from) continue;
      const frame = frameTo(macOf(to.index), macOf(from.index), 100 + to.index, 60 + 7 * (to.index + 2));
      expect(from.driver!.sendBytes(frame)).toBe(SENT.OK);
      stage.settle();
      expect(to.heard.pop()).toEqual(frame);
      expect(sides.every(({ heard }) => heard.length === 0)).toBe(true);
    }
});

test('a burst: one doorbell for all its frames, both rings wrap, none is lost, one message for what was armed once', () => {
  const stage = new VendorBStage();
  const [a, b] = stage.enable(2);
  a!.drive();
  b!.drive();
  a!.driver!.sendBytes(frameTo(BROADCAST, macOf(0), 0));
  b!.driver!.sendBytes(frameTo(BROADCAST, macOf(1), 0));
  stage.settle();
  b!.heard.length = 0;
  let number = 0;
  for (let burst = 0; burst < 200; burst++) {
    const before = a!.driver!.counters.doorbells;
    for (let i = 0; i < 12; i++) a!.driver!.postBytes(frameTo(macOf(1), macOf(0), number++, 64 + i));
    expect(a!.driver!.counters.doorbells).toBe(before);
    a!.driver!.flush();
    expect(a!.driver!.counters.doorbells).toBe(before + 1);
    stage.nic.step(64);
    expect(b!.messages).toEqual([1]);
    stage.settle();
  }
  expect(b!.heard.map(numberIn)).toEqual(Array.from({ length: number }, (_, i) => i));
  expect(a!.driver!.counters.sent).toBe(number + 1);
});

test('a full ring says FULL, and the user hears when there is room again', () => {
  const stage = new VendorBStage();
  const [a, b] = stage.enable(2);
  let writable = 0;
  a!.drive({ events: { frame: () => {}, writable: () => writable++ } });
  b!.drive();
  const outcomes = Array.from({ length: 17 }, (_, i) => a!.driver!.postBytes(frameTo(macOf(1), macOf(0), i)));
  expect(outcomes).toEqual([...Array(16).fill(SENT.OK), SENT.FULL]);
  stage.settle();
  expect([writable, a!.driver!.counters.full, b!.heard.length]).toEqual([1, 1, 16]);
});

test('a handler that throws leaves a driver that works: what it threw comes out of the poll, and no buffer is lost', () => {
  const stage = new VendorBStage();
  const [a, b] = stage.enable(2);
  const mistake = new Error('a handler');
  let frames = 0;
  const fail = (): never => {
    frames++;
    throw mistake;
  };
  a!.drive();
  b!.drive({ events: { frame: fail } });
  for (let round = 0; round < 8; round++) {
    for (let i = 0; i < 12; i++) a!.driver!.sendBytes(frameTo(macOf(1), macOf(0), i));
    stage.nic.step(64);
    for (const vector of b!.messages.splice(0)) b!.driver!.interrupt(vector);
    expect(() => b!.driver!.poll()).toThrow(mistake);
    expect([frames, b!.driver!.counters.received]).toEqual([12 * (round + 1), 12 * (round + 1)]);
    stage.settle();
  }
});

test('SR-18 SR-19: a virtual function that nobody trusts keeps its address and is not promiscuous; the host may trust it', () => {
  const stage = new VendorBStage();
  const host = stage.host().drive().commands!;
  const [a, b] = stage.enable(2);
  const commands = a!.drive().commands!;
  b!.drive();
  const other = Uint8Array.of(2, 9, 9, 9, 9, 9);
  expect(commands.setMac(other)?.message).toContain('NOT_ALLOWED');
  expect(commands.setReceiveMode(RECEIVE_MODE.PROMISCUOUS)?.message).toContain('NOT_ALLOWED');
  expect(host.setVirtualTrust(0, true)).toBeUndefined();
  expect(commands.setMac(other)).toBeUndefined();
  expect(commands.setMac(macOf(1))?.message).toContain('NOT_ALLOWED');
  expect(commands.setMac(macOf(-1))?.message).toContain('NOT_ALLOWED');
  b!.driver!.sendBytes(frameTo(other, macOf(1), 1));
  stage.settle();
  expect(a!.heard.map(numberIn)).toEqual([1]);
  // Trust that goes takes the address along.
  expect(host.setVirtualTrust(0, false)).toBeUndefined();
  b!.driver!.sendBytes(frameTo(other, macOf(1), 2));
  stage.settle();
  expect(a!.heard.map(numberIn)).toEqual([1]);
  expect(a!.function.counters.filtered).toBe(1);
});

test('SR-08 SR-28: commands of the physical function alone, and numbers of functions that there are not, change nothing', () => {
  const stage = new VendorBStage();
  const host = stage.host().drive().commands!;
  const [a] = stage.enable(1);
  const commands = a!.drive().commands!;
  const other = Uint8Array.of(2, 9, 9, 9, 9, 9);
  expect(commands.setVirtualMac(0, other)?.message).toContain('BAD_OPCODE');
  expect(commands.setVirtualTrust(0, true)?.message).toContain('BAD_OPCODE');
  expect(host.setVirtualMac(4, other)?.message).toContain('BAD_PARAMETER');
  expect(host.setVirtualTrust(0xffff, true)?.message).toContain('BAD_PARAMETER');
  expect(host.setVirtualMac(0, macOf(1))?.message).toContain('BAD_PARAMETER');
  const third = Uint8Array.of(2, 3, 3, 3, 3, 3);
  expect(host.setVirtualMac(0, third)).toBeUndefined();
  expect(host.setVirtualMac(1, third)?.message).toContain('BAD_PARAMETER');
  expect(host.setVirtualMac(0, Uint8Array.of(1, 0, 0x5e, 0, 0, 1))?.message).toContain('BAD_PARAMETER');
  expect([a!.function.station.mac, stage.card.trusts(0)]).toEqual([third, false]);
  // It is the function's address after a reset too.
  a!.function.pci.reset('function-level');
  expect(a!.function.station.mac).toEqual(third);
});

test('SR-09: a function-level reset of one function under traffic of others: they lose nothing', () => {
  const stage = new VendorBStage();
  const [a, b, c] = stage.enable(3);
  for (const side of [a!, b!, c!]) side.drive();
  for (let number = 0; number < 100; number++) {
    a!.driver!.sendBytes(frameTo(macOf(1), macOf(0), number));
    c!.driver!.sendBytes(frameTo(macOf(1), macOf(2), 1000 + number));
    if (number === 50) c!.function.pci.reset('function-level');
    stage.settle();
  }
  const numbers = Array.from({ length: 100 }, (_, number) => number);
  expect(b!.heard.map(numberIn).filter((number) => number < 1000)).toEqual(numbers);
  expect(b!.heard.map(numberIn).filter((number) => number >= 1000)).toEqual(
    numbers.slice(0, 50).map((number) => 1000 + number),
  );
});

test('a driver that suspends its function: nothing is touched until it resumes, and nothing is lost', () => {
  const stage = new VendorBStage();
  const [a, b] = stage.enable(2);
  a!.drive();
  b!.drive();
  expect(b!.driver!.suspend()).toBeUndefined();
  const before = b!.bytes();
  a!.driver!.sendBytes(frameTo(macOf(1), macOf(0), 1));
  stage.settle();
  expect(Buffer.compare(b!.bytes(), before)).toBe(0);
  expect(b!.function.counters.stopped).toBe(1);
  expect(b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), 2))).toBe(SENT.DOWN);
  expect(b!.driver!.resume()).toBeUndefined();
  a!.driver!.sendBytes(frameTo(macOf(1), macOf(0), 3));
  stage.settle();
  expect(b!.heard.map(numberIn)).toEqual([3]);
});

test('F79 with a ring of vendor B’s: the card writes into the receiver’s memory alone, and sends one message for a burst', () => {
  const trace = new ReceiveTrace(OWNERS);
  const stage = new VendorBStage({ trace });
  const [a, b] = stage.enable(2);
  a!.drive();
  b!.drive();
  // The switch learns where each is.
  a!.driver!.sendBytes(frameTo(macOf(1), macOf(0), 0));
  stage.settle();
  b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), 0));
  stage.settle();
  trace.clear();
  for (const number of [1, 2, 3]) a!.driver!.postBytes(frameTo(macOf(1), macOf(0), number, 100 + number));
  a!.driver!.flush();
  stage.settle();
  const dma = (bytes: number) => ({ step: 'dma', requesterId: FIRST_VF + 1, memory: 'guest 1', bytes });
  const message = (index: number) => ({
    step: 'physical interrupt',
    requesterId: FIRST_VF + index,
    vector: 1,
    core: 0,
  });
  // The sender hears of its own completions by the same kind of message.
  expect(trace.steps).toEqual([dma(101), dma(102), dma(103), message(0), message(1)]);
  expect(trace.totals).toMatchObject({ copies: 0, dmaBytes: 306 });
});
