import { SENT } from '@ringwire/guest-drivers';
import { DELIVERED } from '@ringwire/net-backend';
import { ScriptedBackend } from '@ringwire/net-backend/testing';
import { RECEIVE_MODE } from '@ringwire/nic-spec/vendor-b';
import { expect, test } from 'vitest';
import { controlOf } from './testing/vdpa-bridge.js';
import { frameTo, macOf, numberIn, type StageSide, VendorBStage } from './testing/vendor-b-stage.js';

function start(count: number): { stage: VendorBStage; sides: StageSide[] } {
  const stage = new VendorBStage({ hasSwitch: true });
  const sides = stage.enable(count);
  for (const side of sides) side.drive();
  return { stage, sides };
}

test('SR-11 SR-12: behind a card’s switch, vendor B’s functions reach each other, and forged or group sources reach nobody', () => {
  const { stage, sides } = start(3);
  const [a, b, c] = sides;
  const send = (frame: Uint8Array): void => {
    expect(a!.driver!.sendBytes(frame)).toBe(SENT.OK);
    stage.settle();
  };
  send(frameTo(macOf(1), macOf(0), 1));
  send(frameTo(macOf(1), macOf(2), 2));
  send(frameTo(macOf(1), Uint8Array.of(1, 0, 0x5e, 0, 0, 1), 3));
  send(frameTo(new Uint8Array(6).fill(0xff), macOf(0), 4));
  expect([b!.heard.map(numberIn), c!.heard.map(numberIn)]).toEqual([[1, 4], [4]]);
  // They complete: what the switch does with a frame is no business of its sender's.
  expect(a!.function.counters).toMatchObject({ sent: 4, sendDropped: 2 });
});

test('SR-18 SR-19: what a driver asks for, the switch grants or not; what was granted goes with trust, and with a reset', () => {
  const { stage, sides } = start(2);
  const host = stage.host().drive().commands!;
  const commands = sides[0]!.driver!.commands!;
  const port = stage.eswitch!.virtual[0]!;
  const other = Uint8Array.of(2, 9, 9, 9, 9, 9);
  expect(commands.setMac(other)?.message).toContain('NOT_ALLOWED');
  expect(commands.setReceiveMode(RECEIVE_MODE.PROMISCUOUS)?.message).toContain('NOT_ALLOWED');
  expect(host.setVirtualTrust(0, true)).toBeUndefined();
  expect(commands.setMac(macOf(1))?.message).toContain('NOT_ALLOWED');
  expect(commands.setMac(other)).toBeUndefined();
  expect(commands.setReceiveMode(RECEIVE_MODE.PROMISCUOUS)).toBeUndefined();
  expect(port.settings).toMatchObject({ mac: other, promiscuous: true });
  expect(host.setVirtualTrust(0, false)).toBeUndefined();
  expect(port.settings).toMatchObject({ mac: macOf(0), promiscuous: false });
  expect(sides[0]!.function.station.mac).toEqual(macOf(0));
  expect(host.setVirtualTrust(0, true)).toBeUndefined();
  expect(commands.setMac(other)).toBeUndefined();
  sides[0]!.function.pci.reset('function-level');
  expect([port.settings.mac, sides[0]!.function.station.mac]).toEqual([macOf(0), macOf(0)]);
  expect(host.setVirtualMac(0, macOf(1))?.message).toContain('BAD_PARAMETER');
  expect(host.setVirtualMac(0, other)).toBeUndefined();
  expect(port.settings.mac).toEqual(other);
});

test('SR-22: a function without receive buffers is sent a flood: it alone loses, sender and others go on', () => {
  const stage = new VendorBStage({ hasSwitch: true, holdWhenFull: false });
  const [a, b, c] = stage.enable(3);
  for (const side of [a!, b!, c!]) side.drive();
  // Its driver does not answer interrupts any more.
  b!.driver = undefined;
  for (let number = 0; number < 200; number++) {
    a!.driver!.sendBytes(frameTo(macOf(1), macOf(0), number));
    a!.driver!.sendBytes(frameTo(macOf(2), macOf(0), number));
    stage.settle();
  }
  expect(c!.heard.map(numberIn)).toEqual(Array.from({ length: 200 }, (_, number) => number));
  expect(b!.function.counters).toMatchObject({ received: 16, noBuffer: 184 });
});

test('a wire without room, which nobody says an end of, is asked again', () => {
  const { stage, sides } = start(1);
  const wire = new ScriptedBackend(0, [DELIVERED.FULL]);
  stage.eswitch!.wire.backend.attach(wire);
  expect(sides[0]!.driver!.sendBytes(frameTo(Uint8Array.of(2, 9, 9, 9, 9, 9), macOf(0), 1))).toBe(SENT.OK);
  stage.nic.step(16);
  expect([wire.frames.length, stage.nic.deadline()]).toEqual([0, 100]);
  stage.settle();
  expect([wire.bytes.map(numberIn), stage.nic.deadline()]).toEqual([[1], Number.POSITIVE_INFINITY]);
});

test('the link of the virtio data plane is the port’s', () => {
  const { stage, sides } = start(1);
  sides[0]!.driver!.close();
  const control = controlOf(sides[0]!);
  const linkOf = (): number => {
    const config = control.readConfig(6, 2);
    return 'bytes' in config ? config.bytes[0]! & 1 : -1;
  };
  expect(linkOf()).toBe(1);
  stage.eswitch!.virtual[0]!.configure({ link: 'disable' });
  expect(linkOf()).toBe(0);
  control.close();
  stage.eswitch!.virtual[0]!.configure({ link: 'enable' });
});

test('SR-03: virtual functions switched on and off 500 times under traffic: nothing is left over, nobody else notices', () => {
  const stage = new VendorBStage({ hasSwitch: true });
  const host = stage.host();
  const driver = host.drive();
  for (let turn = 0; turn < 500; turn++) {
    const [a] = stage.enable(1 + (turn & 1));
    if (turn % 50 === 0) a!.drive().sendBytes(frameTo(macOf(-1), macOf(0), turn));
    driver.sendBytes(frameTo(macOf(0), macOf(-1), turn));
    stage.settle();
    stage.disable();
    stage.nic.step(16);
    expect([...stage.card.functions.keys()]).toEqual([-1]);
  }
  expect(host.heard.map(numberIn)).toEqual(Array.from({ length: 10 }, (_, turn) => turn * 50));
  expect([driver.state, driver.counters.sent]).toEqual(['running', 500]);
});

test('a function that is closed after the next one came on its port leaves that one alone', () => {
  const stage = new VendorBStage({ hasSwitch: true });
  const [old] = stage.enable(2);
  const gone = old!.function;
  stage.disable();
  const [a, b] = stage.enable(2);
  for (const side of [a!, b!]) side.drive();
  gone.close();
  b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), 9));
  stage.settle();
  expect(a!.heard.map(numberIn)).toEqual([9]);
  expect(stage.card.functions.get(0)).toBe(a!.function);
});
