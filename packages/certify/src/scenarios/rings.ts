import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F, VIRTIO_NET_HDR, virtioNetHdrBytes } from '@ringwire/virtio-spec/net';
import type { Stage } from '../stage.js';
import type { StatementId } from '../statements.js';
import type { Used } from '../watch/ring-watch.js';
import type { Scenario } from './scenario.js';
import { accepted, exchange, frameOf, lengths, receive, send } from './traffic.js';

const F = VIRTIO_NET_F;
const PEER = [2, 0, 0, 0, 0, 2];
/** More than a 16-bit index counts. */
const LAPS_FRAMES = 70_000;
const LONG_FRAME = 200;
const SHORT_BYTES = 100;
const UNKNOWN_FLAG = 0x80;

const traffic: Scenario = {
  name: 'traffic',
  title: 'frames of all lengths, both ways, over many laps of the rings',
  run(stage) {
    stage.mustOpen();
    exchange(stage, lengths(300));
    for (let i = 0; i < 20; i++) exchange(stage, [60 + i]);
    return undefined;
  },
};

const full: Scenario = {
  name: 'full rings',
  title: 'more frames than rings hold, before the device gets a turn',
  run(stage) {
    stage.mustOpen();
    send(stage, lengths(400), 1000);
    receive(stage, lengths(400), { perTurn: 1000 });
    return undefined;
  },
};

const laps: Scenario = {
  name: 'indexes wrap',
  title: `${LAPS_FRAMES} frames each way: indexes of 16 bits begin anew`,
  inTurns: true,
  run(stage) {
    stage.mustOpen();
    if (accepted(stage, VIRTIO_F.RING_PACKED)) return 'a packed ring has no such indexes';
    const chunk = Array<number>(2000).fill(60);
    for (let done = 0; done < LAPS_FRAMES; done += chunk.length) {
      send(stage, chunk, 48);
      receive(stage, chunk, { perTurn: 48 });
    }
    return undefined;
  },
};

const spurious: Scenario = {
  name: 'spurious interrupts',
  title: 'interrupts with nothing to do, of every vector, and in mid-traffic',
  run(stage) {
    stage.mustOpen();
    for (let round = 0; round < 10; round++) {
      for (const vector of stage.vectors) stage.interrupt(vector);
      stage.configInterrupt();
      exchange(stage, lengths(10));
    }
    if (!accepted(stage, VIRTIO_F.RING_PACKED)) stage.verdict.keep('drv.split.used-notif-suppression.5');
    if (stage.watch.kind === 'pci') stage.verdict.keep('drv.pci.config-notif.1');
    return undefined;
  },
};

/** Receive queues have even indexes, transmit queues odd ones; the control queue is behind both. */
const isReceive = (stage: Stage, queue: number): boolean => queue % 2 === 0 && queue < 2 * stage.pairs;
const isTransmit = (stage: Stage, queue: number): boolean => queue % 2 === 1 && queue < 2 * stage.pairs;

const outOfOrder: Scenario = {
  name: 'out of order',
  title: 'sent frames are used in another order than they were made available',
  inTurns: true,
  run(stage) {
    stage.withhold(VIRTIO_F.IN_ORDER);
    stage.mustOpen();
    let swapped = 0;
    stage.meddle = (queue, used) => {
      if (!isTransmit(stage, queue)) return;
      for (let at = 0; at + 1 < used.length; at += 2) {
        const [one, other] = [used[at]!, used[at + 1]!];
        // Of a packed ring, both have to take as many descriptors.
        if (one.exposed?.element.slots !== other.exposed?.element.slots) continue;
        swapped++;
        stage.writeId(one, other.id);
        stage.writeId(other, one.id);
      }
    };
    send(stage, lengths(200));
    stage.meddle = undefined;
    exchange(stage, lengths(50));
    stage.verdict.keep('driver.survives');
    return swapped === 0 ? 'no two frames were used together' : undefined;
  },
};

/** Frames of which the device says that they are shorter than what it wrote. */
const shorter: Scenario = {
  name: 'shorter than written',
  title: 'the device writes more bytes into a buffer than it says: those behind are nobody’s',
  inTurns: true,
  run(stage) {
    // A batch that is used in order has one length for all of its buffers.
    stage.withhold(VIRTIO_F.IN_ORDER);
    stage.mustOpen();
    const header = virtioNetHdrBytes(stage.watch.accepted);
    let cut = 0;
    stage.meddle = (queue, used) => {
      if (!isReceive(stage, queue)) return;
      for (const one of used) {
        stage.view.setUint32(one.lengthAt, header + SHORT_BYTES, true);
        cut++;
      }
    };
    stage.received.length = 0;
    for (let i = 0; i < 10; i++) stage.port.send(frameOf(stage.mac, PEER, LONG_FRAME, i));
    stage.settle();
    stage.meddle = undefined;
    const long = stage.received.find((frame) => frame.length > SHORT_BYTES);
    const message = `a frame of ${long?.length} bytes is handed up, and used length minus header was ${SHORT_BYTES}`;
    if (accepted(stage, VIRTIO_F.RING_PACKED)) stage.verdict.judge('net.rx.frame', long === undefined, message);
    else {
      stage.verdict.judge('drv.split.used-ring.1', long === undefined, message);
      stage.verdict.judge('drv.split.used-ring.2', long === undefined, message);
    }
    exchange(stage, lengths(20));
    return cut === 0 ? 'nothing came in' : undefined;
  },
};

/** What a driver overlooks in the header of a received frame. virtio 1.4 §5.1.9.4.2 */
const ODD: readonly (readonly [id: StatementId, edit: (header: DataView) => void])[] = [
  [
    'drv.net.rx.1',
    (header) => header.setUint8(VIRTIO_NET_HDR.flags, header.getUint8(VIRTIO_NET_HDR.flags) | UNKNOWN_FLAG),
  ],
  [
    'drv.net.rx.4',
    (header) => {
      header.setUint16(VIRTIO_NET_HDR.csum_start, 0xffff, true);
      header.setUint16(VIRTIO_NET_HDR.csum_offset, 0xffff, true);
    },
  ],
  ['drv.net.rx.6', (header) => header.setUint16(VIRTIO_NET_HDR.hdr_len, 0xffff, true)],
];

/** Header fields that mean nothing, and bits that nobody defined. */
const oddHeaders: Scenario = {
  name: 'odd headers',
  title: 'received headers with undefined flag bits, and fields that mean nothing',
  inTurns: true,
  run(stage) {
    stage.mustOpen();
    for (const [id, edit] of ODD) {
      stage.meddle = (queue, used) => {
        if (isReceive(stage, queue)) for (const one of used) stage.editHeader(one, edit);
      };
      receive(stage, lengths(20), { id });
    }
    stage.meddle = undefined;
    exchange(stage, lengths(20));
    return undefined;
  },
};

/** Combinations that no driver accepts. virtio 1.4 §5.1.9.4.2 */
const REFUSED = [
  { flags: 1, type: 0x61, id: 'drv.net.rx.8' },
  { flags: 0, type: 0x21, id: 'drv.net.rx.10' },
  { flags: 3, type: 0x21, id: 'drv.net.rx.11' },
  { flags: 1, type: 0x20, id: 'drv.net.rx.12' },
  { flags: 9, type: 0x01, id: 'drv.net.rx.13' },
] as const;

const refusedHeaders: Scenario = {
  name: 'headers to be refused',
  title: 'received headers of tunnels that no driver accepts',
  inTurns: true,
  run(stage) {
    stage.mustOpen();
    if (!accepted(stage, F.GUEST_UDP_TUNNEL_GSO)) return 'the driver does not take GUEST_UDP_TUNNEL_GSO';
    for (const { flags, type, id } of REFUSED) {
      stage.meddle = (queue, used) => {
        if (!isReceive(stage, queue)) return;
        for (const one of used)
          stage.editHeader(one, (view) => {
            view.setUint8(VIRTIO_NET_HDR.flags, flags);
            view.setUint8(VIRTIO_NET_HDR.gso_type, type);
            view.setUint16(VIRTIO_NET_HDR.gso_size, 100, true);
          });
      };
      stage.received.length = 0;
      stage.port.send(frameOf(stage.mac, PEER, LONG_FRAME, 1));
      stage.settle();
      const message = `a frame with flags ${flags} and gso_type ${type} is handed up`;
      stage.verdict.judge(id, stage.received.length === 0, message);
    }
    stage.meddle = undefined;
    exchange(stage, lengths(20));
    return undefined;
  },
};

/** Ids and lengths that no device gives. @param odd what is written into the first buffer that is used on a queue */
const hostile = (
  name: string,
  title: string,
  isFor: (stage: Stage, queue: number) => boolean,
  odd: (stage: Stage, used: Used) => void,
): Scenario => ({
  name,
  title,
  inTurns: true,
  run(stage) {
    stage.withhold(VIRTIO_F.IN_ORDER);
    stage.mustOpen();
    let done = false;
    stage.meddle = (queue, used) => {
      if (done || !isFor(stage, queue)) return;
      done = true;
      odd(stage, used[0]!);
    };
    stage.received.length = 0;
    stage.port.send(frameOf(stage.mac, PEER, LONG_FRAME, 1));
    stage.transmit(frameOf(PEER, stage.mac, LONG_FRAME, 1));
    stage.settle();
    stage.pass(50);
    stage.meddle = undefined;
    const long = stage.received.find((frame) => frame.length > LONG_FRAME);
    stage.verdict.judge(
      'driver.survives',
      long === undefined,
      `a frame of ${long?.length} bytes is handed up, and the device wrote ${LONG_FRAME}`,
    );
    if (!stage.isBroken) stage.stop();
    return done ? undefined : 'no buffer was used';
  },
});

/** What is in rings, and how they go around. */
export const RINGS: readonly Scenario[] = [
  traffic,
  full,
  laps,
  spurious,
  outOfOrder,
  shorter,
  oddHeaders,
  refusedHeaders,
  hostile('used length', 'the device says that it wrote 4 GiB into a receive buffer', isReceive, (stage, used) =>
    stage.view.setUint32(used.lengthAt, 0xffff_ffff, true),
  ),
  hostile('used id', 'the device uses a buffer that there is not', isTransmit, (stage, used) =>
    stage.writeId(used, 0x7ff3),
  ),
];
