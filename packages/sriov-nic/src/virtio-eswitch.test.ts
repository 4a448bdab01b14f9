import type { SwitchChange } from '@ringwire/eswitch';
import { COMMAND, type NetCommands, type NetDriver, SENT } from '@ringwire/guest-drivers';
import { expect, test } from 'vitest';
import { FIRST_VF, frameTo, macOf, NicStage, numberIn, type StageGuest } from './testing/nic-stage.js';

const BROADCAST = new Uint8Array(6).fill(0xff);
const GROUP = Uint8Array.of(1, 0, 0x5e, 0, 0, 1);
/** Of a virtual function: Express at 0x54. */
const DEVICE_CONTROL = 0x5c;
const FLR = 0x8000;
const driverOf = (guest: StageGuest): NetDriver => [...guest.drivers.values()][0]!;

/** What a command is answered. */
function ask(
  stage: NicStage,
  guest: StageGuest,
  command: (commands: NetCommands, done: (outcome: number) => void) => boolean,
): number {
  const answers: number[] = [];
  expect(command(driverOf(guest).commands!, (outcome) => void answers.push(outcome))).toBe(true);
  stage.settle();
  return answers[0]!;
}

function send(stage: NicStage, guest: StageGuest, frame: Uint8Array): void {
  expect(driverOf(guest).sendBytes(frame)).toBe(SENT.OK);
  stage.settle();
}

test('functions of a card reach one another by their addresses, and a forged one reaches nobody (SR-11)', () => {
  const stage = new NicStage(3, true);
  const [a, b, c] = stage.start(3);
  stage.settle();
  send(stage, a!, frameTo(macOf(2), macOf(1), 7));
  send(stage, a!, frameTo(BROADCAST, macOf(1), 8));
  expect([a, b, c].map((guest) => guest!.heard.map(numberIn))).toEqual([[], [7, 8], [8]]);
  send(stage, a!, frameTo(macOf(2), macOf(3), 9));
  expect(b!.heard).toHaveLength(2);
  // The broadcast is the physical function's as well: two copies beyond the first.
  const { counters } = stage.card!.virtual[0]!;
  expect([counters.inFrames, counters.copies]).toEqual([3, 2]);
});

test('SR-18 an untrusted function’s driver is answered ERR when it asks for all frames, and sees none that are not for it', () => {
  const stage = new NicStage(3, true);
  const [a, b, c] = stage.start(3);
  stage.settle();
  for (const mode of ['PROMISC', 'ALLMULTI', 'ALLUNI'] as const)
    expect(ask(stage, c!, (commands, done) => commands.setRxMode(mode, true, done))).toBe(COMMAND.REFUSED);
  send(stage, a!, frameTo(macOf(2), macOf(1), 1));
  send(stage, a!, frameTo(GROUP, macOf(1), 2));
  expect(c!.heard).toEqual([]);
  // More groups than the device's list holds would be all of them.
  const groups = Array.from({ length: 65 }, (_, last) => Uint8Array.of(1, 0, 0x5e, 0, 1, last));
  expect(ask(stage, c!, (commands, done) => commands.setMacTable([], groups, done))).toBe(COMMAND.REFUSED);
  expect(ask(stage, c!, (commands, done) => commands.setMacTable([], [GROUP], done))).toBe(COMMAND.OK);
  send(stage, a!, frameTo(GROUP, macOf(1), 3));
  expect(c!.heard.map(numberIn)).toEqual([3]);
  stage.card!.virtual[2]!.configure({ trusted: true });
  expect(ask(stage, c!, (commands, done) => commands.setRxMode('ALLMULTI', true, done))).toBe(COMMAND.OK);
  send(stage, b!, frameTo(Uint8Array.of(3, 0, 0, 0, 0, 9), macOf(2), 4));
  expect(c!.heard.map(numberIn)).toEqual([3, 4]);
});

test('SR-19 a driver may not take the address of the physical function or of a sibling, nor list it', () => {
  const stage = new NicStage(2, true);
  const [a, b] = stage.start(2);
  stage.settle();
  stage.card!.virtual[0]!.configure({ trusted: true });
  for (const taken of [macOf(0), macOf(2)]) {
    expect(ask(stage, a!, (commands, done) => commands.setMac(taken, done))).toBe(COMMAND.REFUSED);
    expect(ask(stage, a!, (commands, done) => commands.setMacTable([taken], [], done))).toBe(COMMAND.REFUSED);
  }
  expect(ask(stage, a!, (commands, done) => commands.setMac(macOf(9), done))).toBe(COMMAND.OK);
  expect(stage.card!.virtual[0]!.settings.mac).toEqual(macOf(9));
  send(stage, b!, frameTo(macOf(9), macOf(2), 5));
  expect(a!.heard.map(numberIn)).toEqual([5]);
  // One that is not trusted keeps the host's.
  expect(ask(stage, b!, (commands, done) => commands.setMac(macOf(10), done))).toBe(COMMAND.REFUSED);
});

test('SR-13 a driver in a port VLAN may not join another one, and knows nothing of its own', () => {
  const stage = new NicStage(2, true);
  for (const port of stage.card!.virtual) port.configure({ portVlan: { id: 100, priority: 0, protocol: 0x8100 } });
  const [a, b] = stage.start(2);
  stage.settle();
  expect(ask(stage, a!, (commands, done) => commands.setVlan(200, true, done))).toBe(COMMAND.REFUSED);
  expect(ask(stage, a!, (commands, done) => commands.setVlan(0, true, done))).toBe(COMMAND.OK);
  const frame = frameTo(macOf(2), macOf(1), 6);
  send(stage, a!, frame);
  expect(b!.heard).toEqual([frame]);
});

test('the link of a port is the link of its function, and a rate that the host set is its speed', () => {
  const stage = new NicStage(2, true);
  stage.card!.virtual[0]!.configure({ maxTxRate: 2500 });
  stage.card!.virtual[1]!.configure({ link: 'disable' });
  const [a, b] = stage.start(2);
  stage.settle();
  expect([a, b].map((guest) => driverOf(guest!).isLinkUp)).toEqual([true, false]);
  expect([driverOf(a!).speed, driverOf(a!).isFullDuplex, driverOf(b!).speed]).toEqual([2500, true, -1]);
  stage.card!.virtual[1]!.configure({ link: 'enable' });
  stage.card!.virtual[0]!.configure({ link: 'disable' });
  stage.settle();
  expect([a, b].map((guest) => driverOf(guest!).isLinkUp)).toEqual([false, true]);
});

test('dev.net.config.12: a function shows the wire’s speed and duplex, and another one after its link was down', () => {
  const stage = new NicStage(2, true);
  const { card } = stage;
  card!.virtual[0]!.configure({ maxTxRate: 2500 });
  const [a, b] = stage.start(2);
  stage.settle();
  const shown = () =>
    [a, b].map((guest) => {
      const { speed, isFullDuplex, isLinkUp } = driverOf(guest!);
      return [speed, isFullDuplex, isLinkUp];
    });
  expect(shown()).toEqual([
    [2500, true, true],
    [10_000, true, true],
  ]);
  card!.setLink({ speed: 1000, duplex: 'half' });
  stage.settle();
  expect(shown()).toEqual([
    [1000, false, true],
    [1000, false, true],
  ]);
  // A rate is the speed from the next time on that the link comes up.
  card!.virtual[1]!.configure({ maxTxRate: 100 });
  stage.settle();
  expect(driverOf(b!).speed).toBe(1000);
  card!.virtual[1]!.configure({ link: 'disable' });
  card!.virtual[1]!.configure({ link: 'auto' });
  stage.settle();
  expect(shown()[1]).toEqual([100, false, true]);
});

test('F96: who watches the switch is told what a function’s driver asked for, granted or refused, and what the host set', () => {
  const stage = new NicStage(2, true);
  const [a] = stage.start(2);
  stage.settle();
  const changes: SwitchChange[] = [];
  stage.card!.watchChanges({ changed: (change) => changes.push(change) });
  expect(ask(stage, a!, (commands, done) => commands.setRxMode('PROMISC', true, done))).toBe(COMMAND.REFUSED);
  stage.card!.virtual[0]!.configure({ trusted: true });
  expect(ask(stage, a!, (commands, done) => commands.setRxMode('PROMISC', true, done))).toBe(COMMAND.OK);
  const [off, on] = [{ promiscuous: false }, { promiscuous: true }];
  expect(changes).toEqual([
    { by: 'function', port: 2, before: off, after: on, refused: 'promiscuous: the function is not trusted' },
    { by: 'host', port: 2, before: { trusted: false }, after: { trusted: true } },
    { by: 'function', port: 2, before: off, after: on },
  ]);
});

test('what a driver asked for goes with a reset of its function, and with the function', () => {
  const stage = new NicStage(2, true);
  const [a] = stage.start(2);
  stage.settle();
  const port = stage.card!.virtual[0]!;
  port.configure({ trusted: true });
  const wish = (): void => {
    expect(ask(stage, a!, (commands, done) => commands.setMac(macOf(9), done))).toBe(COMMAND.OK);
    expect(ask(stage, a!, (commands, done) => commands.setRxMode('PROMISC', true, done))).toBe(COMMAND.OK);
    expect(port.settings).toMatchObject({ mac: macOf(9), promiscuous: true, vlans: new Set() });
  };
  const unwished = { mac: macOf(1), promiscuous: false, vlans: 'all' };
  wish();
  driverOf(a!).close();
  stage.settle();
  expect(port.settings).toMatchObject(unwished);
  a!.forget();
  stage.assignment.release(FIRST_VF);
  a!.drive(stage.give(FIRST_VF, a!));
  stage.settle();
  wish();
  stage.disable();
  stage.nic.step(16);
  expect(port.settings).toMatchObject(unwished);
  // Nobody is there any more.
  expect(stage.card!.explain(1, frameTo(macOf(1), macOf(0), 1)).ports).toEqual([
    { port: 2, rule: 'address', drop: 'NO_DEVICE', withoutTag: false },
  ]);
});

test('a function that is closed after the next one came on its port leaves that one alone', () => {
  const stage = new NicStage(2, true);
  stage.enable(2);
  const old = stage.nic.personalityOf(0)!;
  stage.disable();
  const [a, b] = stage.start(2);
  stage.settle();
  old.close();
  send(stage, b!, frameTo(macOf(1), macOf(2), 9));
  expect(a!.heard.map(numberIn)).toEqual([9]);
  stage.card!.virtual[0]!.configure({ link: 'disable' });
  stage.settle();
  expect(driverOf(a!).isLinkUp).toBe(false);
});

test('SR-26: a group’s frame through the switch to 64 functions that listed it, one of them being reset: 63 copies arrive', () => {
  const stage = new NicStage(64, true);
  const guests = stage.start(64);
  const host = stage.driveHost();
  stage.settle();
  for (const guest of guests)
    expect(ask(stage, guest, (commands, done) => commands.setMacTable([], [GROUP], done))).toBe(COMMAND.OK);
  expect(driverOf(host).sendBytes(frameTo(GROUP, macOf(0), 1))).toBe(SENT.OK);
  stage.machine.configWrite(FIRST_VF + 20, DEVICE_CONTROL, 2, FLR);
  stage.settle();
  expect(guests.map(({ heard }) => heard.map(numberIn))).toEqual(guests.map((_, i) => (i === 20 ? [] : [1])));
  expect(stage.card!.virtual.map(({ counters }) => counters.outFrames)).toEqual(
    guests.map((_, i) => (i === 20 ? 0 : 1)),
  );
});

test('SR-09: a function-level reset of one function amid traffic of the others and of the physical one through the switch: they lose nothing', () => {
  const stage = new NicStage(3, true);
  const [a, b, c] = stage.start(3);
  const host = stage.driveHost();
  stage.settle();
  const numbers = Array.from({ length: 100 }, (_, number) => number);
  for (const number of numbers) {
    expect(driverOf(a!).sendBytes(frameTo(macOf(2), macOf(1), number))).toBe(SENT.OK);
    expect(driverOf(b!).sendBytes(frameTo(macOf(1), macOf(2), number))).toBe(SENT.OK);
    expect(driverOf(host).sendBytes(frameTo(macOf(1), macOf(0), 1000 + number))).toBe(SENT.OK);
    if (number === 50) stage.machine.configWrite(FIRST_VF + 2, DEVICE_CONTROL, 2, FLR);
    else if (number < 50) driverOf(c!).sendBytes(frameTo(macOf(1), macOf(3), 5000 + number));
    stage.settle();
  }
  const heard = a!.heard.map(numberIn);
  expect(b!.heard.map(numberIn)).toEqual(numbers);
  expect(heard.filter((number) => number < 1000)).toEqual(numbers);
  expect(heard.filter((number) => number >= 1000 && number < 5000)).toEqual(numbers.map((number) => 1000 + number));
  expect(heard.filter((number) => number >= 5000)).toHaveLength(50);
  expect(stage.machine.configRead(FIRST_VF + 2, 4, 2)).toBe(0);
});

test('functions with nothing to do are not stepped, until a notification, a frame or a register asks for it', () => {
  const stage = new NicStage(3, true);
  const [a, b, c] = stage.start(3);
  stage.settle();
  const steps = [0, 0, 0];
  for (let vf = 0; vf < 3; vf++) {
    const personality = stage.nic.personalityOf(vf)!;
    const { step } = personality;
    personality.step = (budget) => {
      steps[vf]!++;
      return step.call(personality, budget);
    };
  }
  for (let turn = 0; turn < 100; turn++) expect(stage.nic.step(16)).toBe(0);
  expect(steps).toEqual([0, 0, 0]);
  send(stage, a!, frameTo(macOf(2), macOf(1), 1));
  stage.settle();
  expect([steps[0]! > 0, steps[1]! > 0, steps[2]]).toEqual([true, true, 0]);
  expect(b!.heard.map(numberIn)).toEqual([1]);
  // A configuration change is told of by an interrupt.
  stage.card!.virtual[2]!.configure({ link: 'disable' });
  stage.settle();
  expect([driverOf(c!).isLinkUp, steps[2]! > 0, stage.nic.deadline()]).toEqual([false, true, Number.POSITIVE_INFINITY]);
});
