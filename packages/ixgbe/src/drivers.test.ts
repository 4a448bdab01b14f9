import { Eswitch } from '@ringwire/eswitch';
import { guestDma, isBreakdown } from '@ringwire/guest-drivers';
import { type IxgbeFrame, type IxgbePf, type IxgbeVf, openIxgbePf, openIxgbeVf } from '@ringwire/guest-drivers/ixgbe';
import { GuestMemory, PageAllocator } from '@ringwire/guest-memory';
import { LearningSwitch } from '@ringwire/net-backend';
import type { FoundFunction } from '@ringwire/pci';
import { AssignedFunction } from '@ringwire/sriov-nic';
import { describe, expect, test } from 'vitest';
import type { IxgbePort } from './function-options.js';
import {
  frameOf,
  IxgbeStage,
  RAM,
  RAM_BYTES,
  type StageFunction,
  type StageVf,
  SWITCH,
} from './testing/ixgbe-stage.js';

const MESSAGES = [0, 1, 2].map((data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data }));
/** What either driver works with, in front of a function of the stage. */
function setupOf(stage: IxgbeStage, on: StageFunction, found: FoundFunction, heard: Uint8Array[], pause: () => void) {
  const space = new GuestMemory(stage.memory, [{ gpa: RAM, size: RAM_BYTES, host: on.host }]);
  return {
    access: new AssignedFunction(stage.machine, found),
    dma: guestDma(space, new PageAllocator(RAM, RAM_BYTES)),
    messages: MESSAGES,
    now: () => stage.now / 1000,
    queueSize: 64,
    copyPages: 17,
    mac: Uint8Array.of(2, 0, 0, 0, 0, on.number),
    patience: { tries: 50, pause },
    events: { frame: (frame: IxgbeFrame) => void heard.push(frame.bytes()) },
  };
}

/** The host, with the driver of the physical function. */
class Host {
  readonly driver: IxgbePf;
  readonly heard: Uint8Array[] = [];
  readonly shutOff: number[] = [];
  private readonly stage: IxgbeStage;

  constructor(stage: IxgbeStage) {
    this.stage = stage;
    const setup = setupOf(stage, stage.pf, stage.found, this.heard, () => stage.step());
    const events = { ...setup.events, misbehaved: (vf: number) => void this.shutOff.push(vf) };
    const driver = openIxgbePf({ ...setup, events, vfs: 2 });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
  }

  settle(): void {
    for (const vector of this.stage.pf.takeMessages()) this.driver.interrupt(vector);
    while (this.driver.needsPoll) this.driver.poll();
  }
}

/** A guest with the driver of a virtual function. */
class Guest {
  readonly vf: StageVf;
  readonly driver: IxgbeVf;
  readonly heard: Uint8Array[] = [];

  constructor(stage: IxgbeStage, host: Host, index: number) {
    this.vf = stage.vfs[index]!;
    const driver = openIxgbeVf(setupOf(stage, this.vf, stage.foundVfs[index]!, this.heard, () => host.settle()));
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
  }

  /** Everything that its interrupts ask for. */
  settle(): void {
    for (const vector of this.vf.takeMessages()) this.driver.interrupt(vector);
    while (this.driver.needsPoll) this.driver.poll();
  }
}

type PortOf = (number: number, stage: IxgbeStage) => IxgbePort;

function learningSwitch(): PortOf {
  const wires = new LearningSwitch(9);
  return (number) => ({ backend: wires.ports[number]! });
}

function cardSwitch(): PortOf {
  let made: Eswitch | undefined;
  return (number, stage) => {
    const { memory } = stage;
    made ??= new Eswitch({ memory, at: SWITCH, virtualFunctions: 8, now: () => stage.now, floating: true });
    return number === 0 ? made.physical : made.virtual[number - 1]!;
  };
}

interface Machine {
  readonly stage: IxgbeStage;
  readonly host: Host;
  readonly a: Guest;
  readonly b: Guest;
  /** Steps of the card, and what they lead to. */
  run(): void;
  /** Seconds go by, in which drivers begin anew. */
  wait(): void;
}

function machineAt(portOf: PortOf): Machine {
  const stage = new IxgbeStage(portOf);
  const host = new Host(stage);
  stage.enable(2);
  const [a, b] = [0, 1].map((index) => new Guest(stage, host, index)) as [Guest, Guest];
  const run = (): void => {
    for (let i = 0; i < 6; i++) {
      stage.step();
      for (const each of [host, a, b]) each.settle();
    }
  };
  const wait = (): void => {
    for (let i = 0; i < 20; i++) {
      stage.now += 1_000_000;
      run();
      for (const each of [host, a, b]) each.driver.watch();
    }
  };
  return { stage, host, a, b, run, wait };
}

function frameTo(to: Guest | Host, from: Guest | Host, length: number, number: number): Uint8Array {
  const frame = frameOf(length, number);
  frame.set(to.driver.mac);
  frame.set(from.driver.mac, 6);
  return frame;
}

describe.each([
  ['a learning switch', learningSwitch],
  ['the card’s own switch', cardSwitch],
] as const)('two drivers of virtual functions at %s', (_, portsOf) => {
  const machine = (): Machine => machineAt(portsOf());

  test('they come up by the mailbox, and exchange frames of every length up to the MTU', () => {
    const { a, b, run } = machine();
    expect([a.driver.state, b.driver.state, a.driver.isLinkUp, a.driver.speed]).toEqual([
      'running',
      'running',
      true,
      10_000,
    ]);
    expect([...b.driver.mac]).toEqual([2, 0, 0, 0, 0, 2]);
    const lengths = [60, 61, 64, 128, 1000, 1513, 1514];
    const expected: Uint8Array[] = [];
    for (const [i, length] of lengths.entries()) {
      const there = frameTo(b, a, length, i);
      expected.push(there);
      expect(a.driver.sendBytes(there)).toBe(0);
      run();
    }
    expect(b.heard).toEqual(expected);
    const back = frameTo(a, b, 200, 99);
    b.driver.sendBytes(back);
    run();
    expect(a.heard).toEqual([back]);
  });

  test('many frames in both directions arrive once each, in order', () => {
    const { a, b, run } = machine();
    const sent: [Uint8Array[], Uint8Array[]] = [[], []];
    for (let round = 0; round < 40; round++) {
      for (let n = 0; n < 5; n++) {
        const there = frameTo(b, a, 60 + ((round * 37 + n) % 1400), round);
        const back = frameTo(a, b, 60 + ((round * 91 + n) % 1400), round + 1);
        a.driver.sendBytes(there);
        b.driver.sendBytes(back);
        sent[0].push(there);
        sent[1].push(back);
      }
      run();
    }
    expect(b.heard.length).toBe(200);
    expect(b.heard.every((frame, i) => Buffer.compare(frame, sent[0][i]!) === 0)).toBe(true);
    expect(a.heard.every((frame, i) => Buffer.compare(frame, sent[1][i]!) === 0)).toBe(true);
  });

  test('after a reset of the physical function the drivers begin anew, and frames pass again', () => {
    const { host, a, b, run, wait } = machine();
    expect(host.driver.restart()).toBeUndefined();
    wait();
    expect([a.driver.state, b.driver.state]).toEqual(['running', 'running']);
    const there = frameTo(b, a, 300, 1);
    a.driver.sendBytes(there);
    run();
    expect(b.heard).toEqual([there]);
  });
});

describe('what the host set for a virtual function holds at the card’s own switch', () => {
  test('SR-11, SR-16: frames from a sibling’s address are not forwarded, and SSVPC counts them', () => {
    const { host, a, b, run, wait } = machineAt(cardSwitch());
    a.driver.sendBytes(frameTo(b, b, 60, 1));
    const honest = frameTo(b, a, 60, 2);
    a.driver.sendBytes(honest);
    run();
    expect(b.heard).toEqual([honest]);
    wait();
    expect(host.driver.counters.spoofed).toBe(1);
  });

  test('SR-13: functions in different VLANs of the host’s do not hear each other; in the same one they do, and see no tag', () => {
    const { host, a, b, run, wait } = machineAt(cardSwitch());
    host.driver.setVf(0, { vlan: 100 });
    host.driver.setVf(1, { vlan: 200 });
    wait();
    a.driver.sendBytes(frameTo(b, a, 60, 1));
    run();
    expect(b.heard).toEqual([]);
    host.driver.setVf(1, { vlan: 100 });
    wait();
    const there = frameTo(b, a, 80, 2);
    a.driver.sendBytes(there);
    run();
    expect(b.heard).toEqual([there]);
  });

  test('the host and a guest exchange frames; everybody’s address reaches both others', () => {
    const { host, a, b, run } = machineAt(cardSwitch());
    const there = frameTo(a, host, 90, 1);
    const back = frameTo(host, a, 91, 2);
    const all = frameTo(b, a, 92, 3);
    all.fill(0xff, 0, 6);
    host.driver.sendBytes(there);
    a.driver.sendBytes(back);
    a.driver.sendBytes(all);
    run();
    expect([a.heard, host.heard, b.heard]).toEqual([[there], [back, all], [all]]);
  });

  test('a virtual function whose descriptors are bad is shut off; the sibling goes on, and a reset lets it in again', () => {
    const { host, a, b, run, wait } = machineAt(cardSwitch());
    // A tail behind the ring: what no driver of ours does.
    a.vf.write(0x2018, 0xfff0);
    run();
    expect(host.shutOff).toEqual([0]);
    const there = frameTo(host, b, 70, 1);
    b.driver.sendBytes(there);
    run();
    expect(host.heard).toEqual([there]);
    wait();
    const again = frameTo(host, a, 71, 2);
    a.driver.sendBytes(again);
    run();
    expect(host.heard).toEqual([there, again]);
  });
});
