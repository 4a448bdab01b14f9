import { Eswitch } from '@ringwire/eswitch';
import { guestDma, isBreakdown } from '@ringwire/guest-drivers';
import { type IxgbeVf, openIxgbeVf } from '@ringwire/guest-drivers/ixgbe';
import { GuestMemory, PageAllocator } from '@ringwire/guest-memory';
import { LearningSwitch } from '@ringwire/net-backend';
import { AssignedFunction } from '@ringwire/sriov-nic';
import { describe, expect, test } from 'vitest';
import type { IxgbePort } from './ixgbe-function.js';
import { HandPf } from './testing/hand-pf.js';
import { frameOf, IxgbeStage, RAM, RAM_BYTES, type StageVf, SWITCH } from './testing/ixgbe-stage.js';

const MESSAGES = [0, 1, 2].map((data) => ({ addressLo: 0xfee0_0000, addressHi: 0, data }));
/** A guest with a driver. */
class Guest {
  readonly vf: StageVf;
  readonly driver: IxgbeVf;
  readonly heard: Uint8Array[] = [];
  readonly broken: string[] = [];

  constructor(stage: IxgbeStage, pf: HandPf, index: number, features: object = {}) {
    this.vf = stage.vfs[index]!;
    const space = new GuestMemory(stage.memory, [{ gpa: RAM, size: RAM_BYTES, host: this.vf.host }]);
    const driver = openIxgbeVf({
      access: new AssignedFunction(stage.machine, stage.foundVfs[index]!),
      dma: guestDma(space, new PageAllocator(RAM, RAM_BYTES)),
      messages: MESSAGES,
      now: () => stage.now / 1000,
      queueSize: 64,
      copyPages: 17,
      patience: { tries: 50, pause: () => pf.serve() },
      events: {
        frame: (frame) => this.heard.push(frame.bytes()),
        broken: (why) => this.broken.push(why.message),
      },
      ...features,
    });
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

interface Pair {
  readonly stage: IxgbeStage;
  readonly pf: HandPf;
  readonly a: Guest;
  readonly b: Guest;
  /** Steps of the card, and what they lead to. */
  run(): void;
}

function pairAt(portOf: PortOf): Pair {
  const stage = new IxgbeStage(portOf);
  stage.enable(2);
  const pf = new HandPf(stage);
  const [a, b] = [0, 1].map((index) => new Guest(stage, pf, index)) as [Guest, Guest];
  const run = (): void => {
    for (let i = 0; i < 6; i++) {
      stage.step();
      for (const guest of [a, b]) guest.settle();
    }
  };
  return { stage, pf, a, b, run };
}

function frameTo(to: Guest, from: Guest, length: number, number: number): Uint8Array {
  const frame = frameOf(length, number);
  frame.set(to.driver.mac);
  frame.set(from.driver.mac, 6);
  return frame;
}

describe.each([
  ['a learning switch', learningSwitch],
  ['the card’s own switch', cardSwitch],
] as const)('two drivers of virtual functions at %s', (_, portsOf) => {
  const pair = (): Pair => pairAt(portsOf());

  test('they come up by the mailbox, and exchange frames of every length up to the MTU', () => {
    const { a, b, run } = pair();
    expect([a.driver.state, b.driver.state, a.driver.isLinkUp, a.driver.speed]).toEqual([
      'running',
      'running',
      true,
      10_000,
    ]);
    expect([...a.driver.mac]).toEqual([2, 0, 0, 0, 0, 1]);
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
    const { a, b, run } = pair();
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
    const { stage, pf, a, b, run } = pair();
    pf.restart();
    stage.pf.write(0x4240, 0x407);
    for (let i = 0; i < 20; i++) {
      stage.now += 1_000_000;
      for (const guest of [a, b]) guest.driver.watch();
      pf.serve();
      run();
    }
    expect([a.driver.state, b.driver.state]).toEqual(['running', 'running']);
    const there = frameTo(b, a, 300, 1);
    a.driver.sendBytes(there);
    run();
    expect(b.heard).toEqual([there]);
  });
});

test('SR-11: a frame from a sibling’s address is not forwarded', () => {
  const { a, b, run } = pairAt(cardSwitch());
  const forged = frameTo(b, b, 60, 1);
  a.driver.sendBytes(forged);
  const honest = frameTo(b, a, 60, 2);
  a.driver.sendBytes(honest);
  run();
  expect(b.heard).toEqual([honest]);
});
