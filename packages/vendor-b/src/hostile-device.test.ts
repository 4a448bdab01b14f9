import { openPciTransport } from '@ringwire/guest-drivers';
import { openIxgbeVf } from '@ringwire/guest-drivers/ixgbe';
import { bindVendorB, openVendorBDriver } from '@ringwire/guest-drivers/vendor-b';
import { COMPLETION, VB_REG } from '@ringwire/nic-spec/vendor-b';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameTo, MESSAGES, macOf, type StageSide, VendorBStage } from './testing/vendor-b-stage.js';

/** Words of the completion that the driver looks at next. */
function completionOf(side: StageSide, slot: number): Uint32Array {
  const { address } = side.function.native.completionRings[0]!.place;
  const host = side.ram.resolve(address + slot * COMPLETION.SIZE, COMPLETION.SIZE, 3);
  return side.ram.memory.u32.subarray(host >>> 2, (host >>> 2) + 4);
}

const WRONG: readonly (readonly [string, (words: Uint32Array) => void])[] = [
  ['a ring that there is not', (words) => words.set([words[0]! | (5 << 16)])],
  ['the ring of sent frames, with none in flight', (words) => words.set([words[0]! | (1 << 16)])],
  ['a cookie out of turn', (words) => words.set([words[0]! + 1])],
  ['a cookie that no buffer has', (words) => words.set([words[0]! | 0xffff])],
  ['more bytes than the buffer has', (words) => words.set([2049], 1)],
  ['2^32 - 1 bytes', (words) => words.set([0xffff_ffff], 1)],
  ['a ring read too far', (words) => words.set([words[3]! + 0x1_0000], 3)],
];
for (const [what, change] of WRONG)
  test(`DR: a completion with ${what} ends the driver's trust: nothing is delivered, the function is reset`, () => {
    const stage = new VendorBStage();
    const [a, b] = stage.enable(2);
    const broken: string[] = [];
    a!.drive({
      events: { frame: (frame) => a!.heard.push(frame.bytes()), broken: ({ message }) => broken.push(message) },
    });
    b!.drive();
    b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), 1));
    stage.nic.step(16);
    change(completionOf(a!, 0));
    stage.settle();
    expect([a!.heard.length, a!.driver!.state, broken.length]).toEqual([0, 'broken', 1]);
    expect([a!.function.native.ringOf(0), a!.function.native.ringOf(1)]).toEqual([undefined, undefined]);
  });

test('DR: a pause that throws while the function is given up leaves a driver that can be closed', () => {
  const stage = new VendorBStage();
  const [a, b] = stage.enable(2);
  const mistake = new Error('a pause');
  let fails = false;
  const pause = (): void => {
    if (fails) throw mistake;
    stage.nic.step(16);
  };
  // The reset is never seen to end, so that the driver waits for it.
  const { access } = a!;
  const stuck: typeof access = Object.create(access, {
    barRead: {
      value: (bar: number, at: number, size: number) =>
        fails && at === VB_REG.RESET ? 1 : access.barRead(bar, at, size),
    },
  });
  a!.drive({ access: stuck, patience: { tries: 20, pause } });
  b!.drive();
  b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), 1));
  stage.nic.step(16);
  completionOf(a!, 0)[0]! += 1;
  fails = true;
  expect(() => a!.driver!.poll()).toThrow(mistake);
  fails = false;
  a!.driver!.close();
  expect(a!.driver!.state).toBe('closed');
});

test('DR: a status that means nothing gives the buffer up, and the driver goes on', () => {
  const stage = new VendorBStage();
  const [a, b] = stage.enable(2);
  a!.drive();
  b!.drive();
  b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), 1));
  stage.nic.step(16);
  completionOf(a!, 0)[3]! |= 0x7f << 1;
  stage.settle();
  b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), 2));
  stage.settle();
  expect([a!.heard.length, a!.driver!.counters.failedBuffers, a!.driver!.state]).toEqual([1, 1, 'running']);
});

test('DR: any bytes in the completion ring: no exception, no endless loop, no byte outside the buffers delivered', () => {
  const stage = new VendorBStage();
  const [a] = stage.enable(1);
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 512, maxLength: 512 }), (bytes) => {
      const driver = a!.drive({ events: { frame: (frame) => expect(frame.length).toBeLessThanOrEqual(2048) } });
      const { address } = a!.function.native.completionRings[0]!.place;
      a!.ram.memory.u8.set(bytes, a!.ram.resolve(address, bytes.length, 3));
      driver.interrupt(1);
      driver.poll();
      driver.close();
      expect(driver.state).toBe('closed');
    }),
    { numRuns: 100 },
  );
});

test('F38: the wrong driver does not bind, and says why: vendor B’s on virtio and on an 82599, virtio’s and the 82599’s on vendor B', () => {
  const stage = new VendorBStage();
  const [a] = stage.enable(1);
  expect(openPciTransport(a!.access)).toMatchObject({
    message: 'PCI id b0b0:0b1f is no virtio device (virtio 1.4 §4.1.2)',
  });
  const setup = { access: a!.access, dma: a!.dma, now: () => 0, messages: [MESSAGES[0]] };
  expect(openIxgbeVf({ ...setup, events: { frame: () => {} } })).toMatchObject({
    message: expect.stringContaining('PCI id b0b0:0b1f is no 82599 virtual function'),
  });
  const ids = [
    [0x1af4, 0x1041],
    [0x1af4, 0x1000],
    [0x8086, 0x10ed],
    [0x8086, 0x10fb],
    [0xb0b0, 0x0b11],
    [0xffff, 0xffff],
  ] as const;
  for (const [vendor, device] of ids) {
    const touched: string[] = [];
    const access = {
      configRead: (at: number) => (at === 0 ? vendor : at === 2 ? device : touched.push(`config ${at}`)),
      configWrite: (at: number) => touched.push(`config ${at}`),
      barRead: (bar: number) => touched.push(`bar ${bar}`),
      barWrite: (bar: number) => touched.push(`bar ${bar}`),
    };
    const outcome = openVendorBDriver({ ...setupOf(a!), access });
    const id = [vendor, device].map((one) => one.toString(16).padStart(4, '0')).join(':');
    expect(outcome).toMatchObject({ message: expect.stringContaining(`PCI id ${id} is no function of vendor B`) });
    expect(touched).toEqual([]);
  }
});

test('a function with vendor B’s ids that is something else is not used: no magic, another version, commands unanswered', () => {
  const stage = new VendorBStage();
  const [a] = stage.enable(1);
  const lying = (register: number, value: number) => ({
    configRead: (at: number, size: number) => a!.access.configRead(at, size),
    configWrite: (at: number, size: number, to: number) => a!.access.configWrite(at, size, to),
    barRead: (bar: number, at: number, size: number) => (at === register ? value : a!.access.barRead(bar, at, size)),
    barWrite: (bar: number, at: number, size: number, to: number) => a!.access.barWrite(bar, at, size, to),
  });
  expect(bindVendorB(lying(0, 0xffff_ffff))).toMatchObject({ message: expect.stringContaining('ID reads 0xffffffff') });
  expect(bindVendorB(lying(4, 0x2_0000))).toMatchObject({ message: expect.stringContaining('VERSION is 2, want 1') });
  expect(openVendorBDriver({ ...setupOf(a!), access: lying(0x0c, 0) })).toMatchObject({
    message: expect.stringContaining('STATUS is 0x0 after a reset'),
  });
  expect(openVendorBDriver({ ...setupOf(a!), patience: { tries: 3 } })).toMatchObject({
    message: 'command 0x1 was not answered',
  });
});

const setupOf = (side: StageSide) =>
  ({
    access: side.access,
    dma: side.dma,
    messages: [MESSAGES[0], MESSAGES[1]],
    patience: side.patience,
    events: { frame: () => {} },
  }) as const;
