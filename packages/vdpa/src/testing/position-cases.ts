import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import { startOf } from '../queue-setup.js';
import type { VdpaDevice } from '../vdpa-device.js';
import { VDPA } from '../vdpa-outcome.js';
import { BrokenPromise, ended, holds, same, withDevice, worked } from './contract-checks.js';
import { ContractDriver, RX, TX } from './contract-driver.js';
import type { ContractCase, MakeContractMachine } from './contract-machine.js';
import { sendSome } from './traffic-cases.js';

/** Steps of a run, at each of which a device can be stopped. */
const STEPS = 60;

/** One step of a run that is the same each time: frames out, or a turn of the device with a small or a large budget. */
function step(driver: ContractDriver, at: number): void {
  // A number that jumps about: a multiplicative hash.
  const choice = (Math.imul(at + 1, 0x9e37_79b1) >>> 24) % 5;
  if (choice < 3 && driver.sent - driver.heard.length < 12) driver.send();
  else driver.turn(choice === 3 ? 1 : 8);
}

/** Positions in rings: suspended, saved, restored, stopped and started, at every point of a run. */
export function positionCases(make: MakeContractMachine, isPacked: boolean): ContractCase[] {
  const ring = isPacked ? 'packed' : 'split';
  const each = (
    title: string,
    can: (device: VdpaDevice) => boolean,
    at: (driver: ContractDriver) => void,
  ): ContractCase => ({
    title: `${title} (${ring})`,
    run: () => {
      const machine = make();
      for (let point = 0; point <= STEPS; point++)
        withDevice(machine, (device) => {
          const canPack = !isPacked || hasFeature(device.deviceFeatures, VIRTIO_F.RING_PACKED);
          if (!canPack || !can(device)) return;
          const driver = new ContractDriver(machine, device, { isPacked });
          driver.map();
          driver.start();
          for (let done = 0; done < STEPS; done++) {
            if (done === point) at(driver);
            step(driver, done);
          }
          if (point === STEPS) at(driver);
          driver.settle();
          same(driver.heard, driver.all, `frames, with the device stopped at step ${point}`);
        });
    },
  });
  const canSuspend = ({ abilities }: VdpaDevice): boolean => abilities.suspend && abilities.resume;
  const canMove = (device: VdpaDevice): boolean => canSuspend(device) && device.abilities.state === 'any';
  return [
    each('suspended, no ring is touched; resumed, nothing was lost', canSuspend, (driver) => {
      const { device } = driver;
      suspend(device);
      holds(device.isSuspended, 'the device says that it is suspended');
      driver.send();
      const before = [driver.bytesOf('rings'), driver.bytesOf('rx')];
      device.kick(TX);
      device.kick(RX);
      for (let turns = 0; turns < 3; turns++) driver.machine.step?.(device, 64) ?? device.step(64);
      const isSame = before[0] === driver.bytesOf('rings') && before[1] === driver.bytesOf('rx');
      same(isSame, true, 'rings and buffers of a suspended device stay as they are');
      worked(device.resume(), 'resuming');
    }),
    each('F61: what stood in the rings goes on from saved positions, whatever the point', canMove, (driver) => {
      const { device } = driver;
      suspend(device);
      const states = [RX, TX].map((index) => stateOf(device, index));
      same(
        [RX, TX].map((index) => stateOf(device, index)),
        states,
        'positions, read twice',
      );
      worked(device.reset(device.abilities.keepMaps), 'a reset');
      if (!device.abilities.keepMaps) driver.map();
      driver.start(states);
    }),
    each('a queue that is stopped and started goes on where it was', canMove, (driver) => {
      const { device } = driver;
      for (const index of [TX, RX]) {
        const outcome = device.setQueueReady(index, false);
        if (outcome === VDPA.UNSUPPORTED) {
          holds(device.queueReady(index), 'a queue that cannot be stopped alone is ready as before');
          continue;
        }
        worked(outcome, `stopping queue ${index}`);
        holds(!device.queueReady(index), 'it is not ready');
        worked(device.setQueueReady(index, true), `starting queue ${index}`);
        device.kick(index);
      }
    }),
    {
      title: `a position that cannot be is refused, at the latest when the queue is to start (${ring})`,
      run: () => {
        const machine = make();
        for (const bad of badStates(isPacked))
          withDevice(machine, (device) => {
            if (isPacked && !hasFeature(device.deviceFeatures, VIRTIO_F.RING_PACKED)) return;
            const driver = new ContractDriver(machine, device, { isPacked });
            driver.map();
            driver.negotiate();
            driver.place(TX);
            const isTaken = device.setQueueState(TX, bad) === VDPA.OK && device.setQueueReady(TX, true) === VDPA.OK;
            same(isTaken, false, `position ${JSON.stringify(bad)}`);
          });
      },
    },
    {
      title: `before it starts a queue is at its start, and so after a reset (${ring})`,
      run: () => {
        const machine = make();
        withDevice(machine, (device) => {
          if (isPacked && !hasFeature(device.deviceFeatures, VIRTIO_F.RING_PACKED)) return;
          const driver = new ContractDriver(machine, device, { isPacked });
          driver.map();
          driver.negotiate();
          same(stateOf(device, TX), startOf(isPacked), 'the position before the start');
          device.reset(device.abilities.keepMaps);
          if (!device.abilities.keepMaps) driver.map();
          driver.start();
          sendSome(driver, 5);
          device.reset(device.abilities.keepMaps);
          if (!device.abilities.keepMaps) driver.map();
          driver.negotiate();
          same(stateOf(device, TX), startOf(isPacked), 'the position after a reset');
        });
      },
    },
    {
      title: `a device without suspend or positions says so (${ring})`,
      run: () =>
        withDevice(make(), (device) => {
          const { abilities } = device;
          if (!abilities.suspend) ended(device.suspend(), VDPA.UNSUPPORTED, 'suspending');
          if (!abilities.resume) ended(device.resume(), VDPA.UNSUPPORTED, 'resuming');
          if (abilities.state === 'start')
            ended(
              device.setQueueState(TX, { layout: 'split', lastAvailIdx: 7, usedIdx: 7 }),
              VDPA.UNSUPPORTED,
              'a position that is not the start',
            );
        }),
    },
  ];
}

function suspend(device: VdpaDevice): void {
  for (let tries = 0; tries < 100; tries++) {
    const outcome = device.suspend();
    if (outcome === VDPA.OK) return;
    ended(outcome, VDPA.BUSY, 'suspending');
    device.step(1);
  }
  throw new BrokenPromise('a device can be suspended in the end');
}

function stateOf(device: VdpaDevice, index: number): QueueState {
  const state = device.queueState(index);
  if (state === undefined) throw new BrokenPromise(`the position of queue ${index} is known`);
  return state;
}

function badStates(isPacked: boolean): QueueState[] {
  if (!isPacked)
    return [
      { layout: 'split', lastAvailIdx: -1, usedIdx: -1 },
      { layout: 'split', lastAvailIdx: 0x1_0000, usedIdx: 0x1_0000 },
      { layout: 'split', lastAvailIdx: 0.5, usedIdx: 0.5 },
      { layout: 'packed', lastAvailIdx: 0, lastAvailWrapCounter: 1, usedIdx: 0, usedWrapCounter: 1 },
    ];
  return [
    { layout: 'packed', lastAvailIdx: 32, lastAvailWrapCounter: 1, usedIdx: 32, usedWrapCounter: 1 },
    { layout: 'packed', lastAvailIdx: 0, lastAvailWrapCounter: 2 as 1, usedIdx: 0, usedWrapCounter: 2 as 1 },
    { layout: 'packed', lastAvailIdx: -1, lastAvailWrapCounter: 1, usedIdx: -1, usedWrapCounter: 1 },
    { layout: 'split', lastAvailIdx: 3, usedIdx: 3 },
  ];
}
