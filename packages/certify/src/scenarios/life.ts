import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { Stage } from '../stage.js';
import type { Scenario } from './scenario.js';
import { accepted, exchange, lengths, receive, send } from './traffic.js';

const F = VIRTIO_NET_F;
/** Tenths of seconds that a driver has for bringing its device up again. */
const RECOVERY = 200;
const MAC_BYTES = 6;
const isSame = (one: ArrayLike<number>, other: ArrayLike<number>): boolean =>
  Array.from(one).every((byte, at) => byte === other[at]);
const text = (mac: ArrayLike<number>): string =>
  Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');

/** Taken into use, given back, and once more. */
const opens: Scenario = {
  name: 'open and stop',
  title: 'the device is taken into use and given back, twice',
  run(stage) {
    for (let round = 0; round < 2; round++) {
      stage.mustOpen();
      const { mac } = stage;
      if (accepted(stage, F.MAC)) {
        const shown = stage.watch.shownMac;
        const message = `the driver’s address is ${text(mac)}, want ${text(shown)}, the device’s`;
        stage.verdict.judge('drv.net.config.3', isSame(mac, shown), message);
      }
      exchange(stage, lengths(4));
      stage.stop();
    }
    return undefined;
  },
};

/** Given back while there is everything to do. */
const stopsBusy: Scenario = {
  name: 'stop with buffers out',
  title: 'the driver is stopped while the device has frames of its and buffers for it',
  run(stage) {
    stage.mustOpen();
    receive(stage, lengths(8));
    for (let i = 0; i < 8; i++) stage.transmit(new Uint8Array(100).fill(i));
    stage.stop();
    stage.mustOpen();
    exchange(stage, lengths(8));
    return undefined;
  },
};

const slowReset: Scenario = {
  name: 'slow reset',
  title: 'device_status does not read 0 at once after a reset',
  run(stage) {
    stage.twist.slowReset = 5;
    stage.mustOpen();
    exchange(stage, lengths(4));
    stage.stop();
    return undefined;
  },
};

const refusesFeatures: Scenario = {
  name: 'features refused',
  title: 'FEATURES_OK does not stick',
  run(stage) {
    stage.twist.refusesFeatures = true;
    const refused = stage.open();
    if (refused === undefined) stage.fail('drv.basic.init.10', 'the driver goes on although FEATURES_OK did not stick');
    stage.verdict.keep('drv.basic.init.10');
    stage.verdict.judge(
      'drv.basic.init.14',
      stage.watch.rings.size === 0,
      'queues are enabled although FEATURES_OK did not stick',
    );
    stage.verdict.judge(
      'drv.basic.init.13',
      stage.watch.hasFailed,
      'FAILED is not set although FEATURES_OK did not stick',
    );
    return undefined;
  },
};

const needsReset: Scenario = {
  name: 'needs reset',
  title: 'the device asks for a reset in mid-traffic',
  run(stage) {
    stage.mustOpen();
    exchange(stage, lengths(8));
    const { resets } = stage.watch;
    stage.twist.needsReset = true;
    stage.transmit(new Uint8Array(60).fill(1));
    stage.configInterrupt();
    for (let i = 0; i < RECOVERY && !isDone(stage, resets); i++) stage.pass();
    if (!isDone(stage, resets))
      stage.fail(
        'drv.basic.status.4',
        'DEVICE_NEEDS_RESET is set, and the driver neither resets the device nor gives it up',
      );
    stage.verdict.keep('drv.basic.status.4');
    if (stage.isBroken) return undefined;
    stage.settle();
    exchange(stage, lengths(8), false);
    return undefined;
  },
};

/** The driver came back, or gave up. */
const isDone = (stage: Stage, resets: number): boolean =>
  stage.isBroken || (stage.watch.resets > resets && stage.watch.isRunning);

/** The address changes between two reads of its bytes. */
const changesMidRead: Scenario = {
  name: 'configuration changes while it is read',
  title: 'the address changes between two reads of it, with another generation',
  run(stage) {
    const next = [0x06, 0xaa, 0xbb, 0xcc, 0xdd, 0xee];
    const { twist } = stage;
    let hasBegun = false;
    let isChanged = false;
    twist.onConfigRead = (at) => {
      if (at === 0) hasBegun = true;
      else if (hasBegun && !isChanged && at < MAC_BYTES) {
        isChanged = true;
        twist.changeConfig(0, next);
      }
    };
    stage.mustOpen();
    if (!isChanged || !accepted(stage, F.MAC)) return 'the driver does not read an address in pieces';
    const { mac } = stage;
    const message = `the driver’s address is ${text(mac)}, of two generations: want ${text(next)}`;
    const isWhole = isSame(mac, next);
    stage.verdict.judge('drv.basic.config-space.1', isWhole, message);
    stage.verdict.judge('drv.basic.config-space.2', isWhole, message);
    send(stage, lengths(4));
    return undefined;
  },
};

const suspends: Scenario = {
  name: 'suspend and resume',
  title: 'the driver suspends the device with buffers out, and goes on',
  run(stage) {
    stage.mustOpen();
    if (stage.driver.suspend === undefined || stage.driver.resume === undefined) return 'the driver has no suspend';
    if (!accepted(stage, VIRTIO_F.SUSPEND)) return 'driver and device do not agree on SUSPEND';
    for (let round = 0; round < 3; round++) {
      exchange(stage, lengths(8));
      stage.command('suspend');
      stage.settle();
      stage.command('resume');
    }
    exchange(stage, lengths(8));
    return undefined;
  },
};

const restarts: Scenario = {
  name: 'queue reset',
  title: 'the driver resets a pair of queues and sets it up anew',
  run(stage) {
    stage.mustOpen();
    if (stage.driver.restart === undefined) return 'the driver has no restart';
    if (!accepted(stage, VIRTIO_F.RING_RESET)) return 'driver and device do not agree on RING_RESET';
    for (let round = 0; round < 3; round++) {
      exchange(stage, lengths(40));
      stage.command('restart');
    }
    exchange(stage, lengths(40));
    return undefined;
  },
};

/** How a driver begins and ends. */
export const LIFE: readonly Scenario[] = [
  opens,
  stopsBusy,
  slowReset,
  refusesFeatures,
  needsReset,
  changesMidRead,
  suspends,
  restarts,
];
