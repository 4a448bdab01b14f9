import { FEATURE_WORDS, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  VIRTIO_NET_CONFIG,
  VIRTIO_NET_CTRL_ANNOUNCE,
  VIRTIO_NET_CTRL_CLASS,
  VIRTIO_NET_F,
  VIRTIO_NET_HDR,
  VIRTIO_NET_S,
} from '@ringwire/virtio-spec/net';
import type { Stage } from '../stage.js';
import type { Scenario } from './scenario.js';
import { accepted, exchange, frameOf, lengths, receive, send } from './traffic.js';

const F = VIRTIO_NET_F;
/** Bits that virtio 1.4 gives to nobody, or to the future. */
const UNKNOWN = [42, 44, 47, 49, 58, 90, 127];
/** What is not a matter of the driver's taste. */
const KEPT: readonly number[] = [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM, VIRTIO_F.RING_PACKED];
const ETHERNET = 14;
const LOCAL = 2;
const GROUP = 1;

/** Withhold everything but these bits, and what the cell is about. */
function offerOnly(stage: Stage, bits: readonly number[]): void {
  for (let bit = 0; bit < FEATURE_WORDS * 32; bit++)
    if (!bits.includes(bit) && !KEPT.includes(bit)) stage.withhold(bit);
}

const unknown: Scenario = {
  name: 'unknown features',
  title: 'feature bits are on offer that virtio 1.4 does not define',
  run(stage) {
    for (const bit of UNKNOWN) stage.twist.added[bit >>> 5]! |= 1 << (bit & 31);
    const refused = stage.open();
    if (refused !== undefined) stage.fail('drv.basic.features.8', `the driver does not take the device: ${refused}`);
    stage.verdict.keep('drv.basic.features.8');
    exchange(stage, lengths(8));
    return undefined;
  },
};

const least: Scenario = {
  name: 'least features',
  title: 'a device that offers an address and nothing else',
  run(stage) {
    offerOnly(stage, [F.MAC]);
    const refused = stage.open();
    if (refused !== undefined) {
      stage.verdict.break('drv.basic.features.6', `the driver needs more than an address: ${refused}`);
      stage.verdict.judge(
        'drv.basic.features.7',
        stage.watch.hasFailed,
        'FAILED is not set by a driver that misses features',
      );
      return undefined;
    }
    stage.verdict.keep('drv.basic.features.6');
    exchange(stage, lengths(100));
    if (stage.isLinkUp !== undefined)
      stage.verdict.judge('drv.net.config.5', stage.isLinkUp, 'the link is not up for the driver, without STATUS');
    return undefined;
  },
};

const noMac: Scenario = {
  name: 'no address',
  title: 'a device without MAC',
  run(stage) {
    stage.withhold(F.MAC);
    stage.mustOpen();
    const first = stage.mac[0]!;
    const message = `the driver’s address begins with ${first}, want a locally administered one of a station`;
    stage.verdict.judge('drv.net.config.4', (first & (LOCAL | GROUP)) === LOCAL, message);
    exchange(stage, lengths(8), false);
    return undefined;
  },
};

const noEvents: Scenario = {
  name: 'no event indexes',
  title: 'without EVENT_IDX, one frame at a time and many together',
  run(stage) {
    stage.withhold(VIRTIO_F.EVENT_IDX);
    stage.mustOpen();
    for (let i = 0; i < 20; i++) exchange(stage, [60 + i]);
    send(stage, lengths(100), 40);
    receive(stage, lengths(100), { perTurn: 40 });
    return undefined;
  },
};

const noMerging: Scenario = {
  name: 'no mergeable buffers',
  title: 'without MRG_RXBUF, and without indirect tables',
  run(stage) {
    stage.withhold(F.MRG_RXBUF, VIRTIO_F.INDIRECT_DESC, VIRTIO_F.IN_ORDER);
    stage.mustOpen();
    exchange(stage, lengths(100));
    return undefined;
  },
};

/** The longest packets that the device says. */
const shortMtu: Scenario = {
  name: 'small mtu',
  title: 'mtu is 1000: frames of 1014 bytes go, longer ones do not',
  run(stage) {
    stage.showMtu(1000);
    stage.mustOpen();
    if (!accepted(stage, F.MTU)) return 'the driver does not take MTU';
    const most = 1000 + ETHERNET;
    send(stage, [most, 60, most]);
    // Whether it says so or not, such a frame does not come into the ring: that is looked at there.
    stage.transmit(frameOf([2, 0, 0, 0, 0, 2], stage.mac, most + 1, 1));
    stage.settle();
    send(stage, [most]);
    return undefined;
  },
};

const longMtu: Scenario = {
  name: 'long frames',
  title: 'mtu is 8000: frames that need several buffers',
  inTurns: true,
  run(stage) {
    stage.showMtu(8000);
    stage.mustOpen();
    if (!accepted(stage, F.MTU)) return 'the driver does not take MTU';
    let isMerged = false;
    stage.meddle = (queue, used) => {
      if (queue !== 0 || !accepted(stage, F.MRG_RXBUF)) return;
      for (const one of used)
        stage.editHeader(one, (header) => {
          isMerged ||= header.getUint16(VIRTIO_NET_HDR.num_buffers, true) > 1;
        });
    };
    exchange(stage, [8014, 60, 5000, 8014, 1514, 4097, 4098]);
    if (isMerged) stage.verdict.keep('net.rx.merged');
    return undefined;
  },
};

const STATUS_AT = VIRTIO_NET_CONFIG.status.at;

const link: Scenario = {
  name: 'link goes down and up',
  title: 'the link goes down and up again, by configuration changes',
  run(stage) {
    stage.mustOpen();
    if (!accepted(stage, F.STATUS)) return 'the driver does not take STATUS';
    for (const isUp of [false, true]) {
      stage.twist.changeConfig(STATUS_AT, [isUp ? VIRTIO_NET_S.LINK_UP : 0, 0]);
      stage.configInterrupt();
      stage.pass(2);
      const { isLinkUp } = stage;
      if (isLinkUp === undefined) continue;
      const words = (up: boolean): string => (up ? 'up' : 'down');
      stage.verdict.judge(
        'drv.net.config.6',
        isLinkUp === isUp,
        `the link is ${words(isLinkUp)} for the driver, and status says ${words(isUp)}`,
      );
    }
    exchange(stage, lengths(8));
    return undefined;
  },
};

const announce: Scenario = {
  name: 'announcement',
  title: 'the device asks the driver to announce itself',
  inTurns: true,
  run(stage) {
    stage.mustOpen();
    if (!accepted(stage, F.GUEST_ANNOUNCE) || !accepted(stage, F.STATUS))
      return 'the driver does not take GUEST_ANNOUNCE';
    stage.settle();
    stage.port.heard.length = 0;
    stage.twist.changeConfig(STATUS_AT, [VIRTIO_NET_S.LINK_UP | VIRTIO_NET_S.ANNOUNCE, 0]);
    stage.configInterrupt();
    stage.settle();
    stage.twist.changeConfig(STATUS_AT, [VIRTIO_NET_S.LINK_UP, 0]);
    const { mac } = stage;
    const said = stage.port.heard.some((frame) => frame.subarray(6, 12).every((byte, at) => byte === mac[at]));
    stage.verdict.judge('drv.net.announce.1', said, 'the driver sends nothing with its address');
    const { ACK } = VIRTIO_NET_CTRL_ANNOUNCE;
    const isAcknowledged = stage.commands.some(
      ([klass, command]) => klass === VIRTIO_NET_CTRL_CLASS.ANNOUNCE && command === ACK,
    );
    stage.verdict.judge('drv.net.announce.2', isAcknowledged, 'the driver does not send ANNOUNCE_ACK');
    return undefined;
  },
};

const pairs: Scenario = {
  name: 'two queue pairs',
  title: 'a device with two pairs of queues',
  pairs: 2,
  inTurns: true,
  run(stage) {
    stage.mustOpen();
    if (!accepted(stage, F.MQ)) return 'the driver does not take MQ';
    exchange(stage, lengths(100));
    return undefined;
  },
};

/** What a device offers, and says. */
export const FEATURES: readonly Scenario[] = [
  unknown,
  least,
  noMac,
  noEvents,
  noMerging,
  shortMtu,
  longMtu,
  link,
  announce,
  pairs,
];
