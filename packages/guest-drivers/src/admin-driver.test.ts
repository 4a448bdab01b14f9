import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openAdminDriver } from './admin-driver.js';
import { listCapabilities } from './admin-objects.js';
import { BREAK, isBreakdown } from './breakdown.js';
import type { DevicePart } from './device-part-list.js';
import { guestDma } from './dma-memory.js';
import { FlowCommands } from './flow-commands.js';
import { MemberCommands } from './member-commands.js';
import { openNetDriver } from './net-driver.js';
import { AdminMachine } from './testing/admin-machine.js';
import { RealStage, STATION } from './testing/real-stage.js';

/** Both lists agreed on, and device parts enabled. */
function opened(machine: AdminMachine): MemberCommands {
  const client = machine.driver.commands!;
  for (const group of [client.self, client.sriov]) expect(machine.wait((done) => group.begin(done)).status).toBe(0);
  const members = new MemberCommands(client);
  expect(machine.wait((done) => members.enableParts(done)).status).toBe(0);
  return members;
}

/** A frame from the station to itself, which its cable brings back. */
function frameOf(bytes: number, seed: number): Uint8Array {
  const frame = Uint8Array.from({ length: bytes }, (_, at) => (at * 3 + seed) & 0xff);
  frame.set(STATION, 0);
  frame.set(STATION, 6);
  frame.set([0x88, 0xb5], 12);
  return frame;
}

describe('bringing it up', () => {
  test('drv.pci.common-cfg.10,.11: one of two administration queues, at the first index', () => {
    for (const messages of [0, 1, 2]) {
      const machine = new AdminMachine(1, messages);
      const { device } = machine.owner.virtio;
      expect(device.queues.filter(({ enabled }) => enabled).map(({ index }) => index)).toEqual([device.numQueues]);
      opened(machine);
      machine.driver.close();
      expect(device.status).toBe(0);
      expect(machine.driver.commands).toBeUndefined();
    }
  });

  test('a device without them, and indexes that cannot be', () => {
    const machine = new AdminMachine(1);
    machine.driver.close();
    const plain = machine.members[0]!;
    const setup = { dma: guestDma(machine.space, machine.pages), now: () => 0 };
    const before = machine.pages.allocate(1);
    machine.pages.free(before);
    const refused = openAdminDriver({ ...setup, transport: machine.transport(plain) });
    expect(isBreakdown(refused) && refused.code).toBe(BREAK.NO_QUEUE);
    // A slot for a command that no memory is large enough for.
    expect(() =>
      openAdminDriver({ ...setup, transport: machine.transport(machine.owner), commandBytes: 2 ** 30 }),
    ).toThrow();
    expect(machine.owner.virtio.device.status).toBe(0);
    // All memory is free again, and the device given up.
    expect(machine.pages.allocate(1)).toBe(before);
    expect(plain.virtio.device.status).toBe(0x80);
    expect(machine.transport(machine.owner).adminQueues()).toEqual({ first: 0, count: 0 });
  });
});

describe('commands to real devices', () => {
  test('DR-18: a command that is never answered ends the device’s life, and all memory is free', () => {
    const machine = new AdminMachine();
    opened(machine);
    machine.isAlive = false;
    const ended: number[] = [];
    machine.driver.commands!.sriov.send('DEV_MODE_SET', 1, Uint8Array.of(1), 0, ({ status }) => ended.push(status));
    machine.time += 5000;
    machine.driver.watch();
    expect(machine.driver.state).toBe('running');
    machine.time += 1;
    machine.driver.watch();
    expect(machine.driver.state).toBe('broken');
    expect(machine.told.map(({ code }) => code)).toEqual([BREAK.ADMIN_UNANSWERED]);
    expect(ended).toEqual([-1]);
    // The device comes back to life: it was reset, and has nothing of the command any more.
    machine.isAlive = true;
    for (let n = 0; n < 4; n++) machine.turn();
    machine.driver.watch();
    expect(ended).toEqual([-1]);
    expect(machine.members[0]!.virtio.device.isStopped).toBe(false);
  });

  test('capabilities as the device lists them', () => {
    const machine = new AdminMachine();
    opened(machine);
    let ids: readonly number[] = [];
    machine.wait((done) =>
      listCapabilities(machine.driver.commands!.self, (found) => {
        ids = found;
        done({ status: 0, qualifier: 0, result: new Uint8Array(0) });
      }),
    );
    expect(ids).toEqual([0, 0x800, 0x801, 0x802]);
  });

  test('a device that needs a reset is given up', () => {
    const machine = new AdminMachine();
    machine.owner.virtio.device.needsReset('a test');
    machine.turn();
    machine.driver.watch();
    expect(machine.told.map(({ code }) => code)).toEqual([BREAK.NEEDS_RESET]);
  });

  test('VF Enable is cleared and set again', () => {
    const machine = new AdminMachine();
    const members = opened(machine);
    machine.isEnabled = false;
    expect(() => members.stop(1, () => {})).toThrow('want 1 to 0');
    machine.isEnabled = true;
    expect(machine.wait((done) => members.stop(1, done)).status).toBe(0);
  });

  test('a running network driver goes on in another device, whatever it was doing', () => {
    fc.assert(
      fc.property(
        fc.record({
          size: fc.constantFrom(8, 16, 64),
          packed: fc.boolean(),
          before: fc.array(fc.integer({ min: 60, max: 1500 }), { maxLength: 12 }),
          between: fc.array(fc.integer({ min: 60, max: 1500 }), { maxLength: 6 }),
          after: fc.array(fc.integer({ min: 60, max: 1500 }), { minLength: 1, maxLength: 12 }),
          stepped: fc.nat(3),
        }),
        ({ size, packed, before, between, after, stepped }) => {
          const machine = new AdminMachine();
          const members = opened(machine);
          const [from, to] = [machine.members[0]!, machine.members[1]!];
          // The guest's one function: what it accesses is the source, then the destination.
          let now = from;
          const heard: number[] = [];
          const access = {
            configRead: (at: number, bytes: number) => now.virtio.pci.configRead(at, bytes),
            configWrite: (at: number, bytes: number, value: number) => now.virtio.pci.configWrite(at, bytes, value),
            barRead: (bar: number, at: number, bytes: number) => now.virtio.pci.barRead(bar, at, bytes),
            barWrite: (bar: number, at: number, bytes: number, value: number) =>
              now.virtio.pci.barWrite(bar, at, bytes, value),
          };
          const transport = machine.transport({ virtio: { pci: access } as never, messages: [] });
          const features = Uint32Array.of(1 << 15, 1 | (packed ? 4 : 0), 0, 0);
          const driver = openNetDriver({
            transport,
            dma: guestDma(machine.space, machine.pages),
            now: () => machine.time,
            queueSize: size,
            features,
            events: {
              frame: (frame) => {
                heard.push(frame.length);
              },
            },
          });
          if (isBreakdown(driver)) throw new Error(driver.message);
          const run = (turns: number): void => {
            for (let n = 0; n < turns; n++) {
              machine.turn();
              driver.interrupt();
              while (driver.needsPoll) driver.poll(8);
            }
          };
          const send = (lengths: readonly number[]): void => {
            for (const length of lengths) {
              driver.sendBytes(frameOf(length, length));
              run(2);
            }
          };
          send(before);
          run(4);
          expect(heard).toEqual(before);
          // Sent, and more or less of it taken, when it is stopped; what is on the source's cable stays there.
          for (const length of between) driver.sendBytes(frameOf(length, 1));
          run(stepped);
          expect(machine.wait((done) => members.stop(1, done)).status).toBe(0);
          let parts: readonly DevicePart[] | undefined;
          machine.wait((done) =>
            members.getParts(1, (got, reply) => {
              parts = got;
              done(reply);
            }),
          );
          expect(machine.wait((done) => members.stop(2, done)).status).toBe(0);
          expect(machine.wait((done) => members.setParts(2, parts!, done)).status).toBe(0);
          // The hypervisor sees to configuration space itself (virtio 1.4 §2.14.2).
          for (const at of [0x10, 0x14, 0x18, 0x1c, 0x04])
            to.virtio.pci.configWrite(at, 4, from.virtio.pci.configRead(at, 4));
          now = to;
          expect(machine.wait((done) => members.resume(2, done)).status).toBe(0);
          run(6);
          const known = heard.length;
          send(after);
          run(6);
          expect(heard.slice(known)).toEqual(after);
          expect(driver.state).toBe('running');
          driver.close();
        },
      ),
      { numRuns: 25 },
    );
  });
});

describe('a network driver’s own device', () => {
  const MATCH_ALL = { type: 1, mask: new Uint8Array(14), key: new Uint8Array(14) };

  test('flow filters, through the administration queue beside its own', () => {
    const stage = new RealStage({ transport: 'pci', device: { pairs: 3 }, admin: {}, messages: 9 });
    const heard: [pair: number, length: number][] = [];
    const { dma, transport, messages } = stage;
    const events = { frame: (frame: { pair: number; length: number }) => heard.push([frame.pair, frame.length]) };
    const driver = openNetDriver({
      transport,
      dma,
      messages,
      now: () => stage.time,
      pairs: 3,
      admin: {},
      events: events as never,
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    stage.settle(driver);
    const client = driver.admin!;
    const ended: number[] = [];
    const step = (send: (done: (reply: { status: number }) => void) => boolean): void => {
      expect(send(({ status }) => ended.push(status))).toBe(true);
      stage.settle(driver);
      driver.watch();
      stage.settle(driver);
    };
    step((done) => client.self.begin(done));
    const flows = new FlowCommands(client);
    step((done) => flows.enable(done));
    step((done) => flows.createGroup(0, 1, done));
    step((done) => flows.createClassifier(0, [MATCH_ALL], done));
    const toSelf = frameOf(100, 1);
    driver.sendBytes(toSelf);
    stage.settle(driver);
    step((done) =>
      flows.createRule({ id: 0, group: 0, classifier: 0, priority: 3, fields: [MATCH_ALL], pair: 2 }, done),
    );
    driver.sendBytes(toSelf);
    stage.settle(driver);
    step((done) => flows.destroyRule(0, done));
    step((done) => flows.createRule({ id: 0, group: 0, classifier: 0, priority: 3, fields: [MATCH_ALL] }, done));
    driver.sendBytes(toSelf);
    stage.settle(driver);
    expect(ended.every((status) => status === 0)).toBe(true);
    expect(heard).toHaveLength(2);
    expect(heard[1]).toEqual([2, 100]);
    driver.close();
  });

  test('DR-18: without an answer the network driver gives its device up as well', () => {
    const stage = new RealStage({ transport: 'pci', admin: {}, messages: 9 });
    const { dma, transport, messages } = stage;
    const codes: number[] = [];
    const events = { frame: () => {}, broken: ({ code }: { code: number }) => codes.push(code) };
    const driver = openNetDriver({
      transport,
      dma,
      messages,
      now: () => stage.time,
      admin: {},
      events: events as never,
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    stage.settle(driver);
    const ended: number[] = [];
    driver.admin!.self.begin(({ status }) => ended.push(status));
    stage.time += 5001;
    driver.watch();
    expect([codes, ended]).toEqual([[BREAK.ADMIN_UNANSWERED], [-1]]);
    expect(driver.admin).toBeUndefined();
  });

  test('it is not asked for, or there is none', () => {
    for (const [stageAdmin, driverAdmin] of [
      [{ admin: {} }, {}],
      [{}, { admin: {} }],
    ] as const) {
      const stage = new RealStage({ transport: 'pci', ...stageAdmin });
      const { dma, transport } = stage;
      const driver = openNetDriver({ transport, dma, now: () => 0, ...driverAdmin, events: { frame: () => {} } });
      if (isBreakdown(driver)) throw new Error(driver.message);
      expect(driver.admin).toBeUndefined();
      expect(stage.device.queueAt(3)).toBeUndefined();
      driver.close();
    }
  });
});
