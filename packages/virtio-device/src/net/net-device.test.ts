import type { GuardedGuest } from '@ringwire/guest-memory/testing';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec';
import { describe, expect, test } from 'vitest';
import { AT, DeviceBench, EVERYWHERE, F, S } from '../testing/device-bench.js';
import { NetDevice } from './net-device.js';
import { NET_DROP } from './net-drop.js';
import { FakeBackend } from './testing/fake-backend.js';
import { frameOf, hex, join, plainHeader } from './testing/frames.js';
import { MAC } from './testing/net-bench.js';

const NF = VIRTIO_NET_F;
const RX = 0;
const TX = 1;
const CTRL = 2;
/** Memory of the guest that no queue of these tests uses: the host's. */
const HOST = AT.rings + 0x3_0000;
const FEATURES = [NF.MAC, NF.STATUS, NF.CTRL_VQ, NF.CTRL_RX, NF.CTRL_MAC_ADDR];

/** A network device behind registers, with three queues of eight. */
class Stage {
  readonly bench: DeviceBench<NetDevice>;
  readonly backend: FakeBackend;

  constructor(face: 'mmio' | 'pci', layout: 'split' | 'packed', accept: readonly number[] = []) {
    let backend: FakeBackend | undefined;
    const make = (guest: GuardedGuest): NetDevice => {
      const scratch = guest.space.resolve(HOST, 0x1_0000, 3);
      backend = new FakeBackend(guest.memory, scratch + 0x8000);
      return new NetDevice({ memory: guest.memory, scratch, backend, mac: MAC });
    };
    this.bench = new DeviceBench(face, make, { layout, accept: [...FEATURES, ...accept] });
    this.backend = backend!;
    this.bench.start([RX, TX, CTRL]);
  }

  transmit(frame: Uint8Array, at: number = AT.buffers): void {
    const { bench } = this;
    bench.guest.write(at, join(plainHeader(), frame));
    bench.rings[TX]!.addReadable(at, 12 + frame.length);
    bench.rings[TX]!.publish();
    bench.face.kick(TX);
    bench.device.step(8);
  }

  post(at: number = AT.buffers + 0x1000): void {
    this.bench.offer(RX, at, 200);
  }

  receive(frame: Uint8Array): void {
    this.backend.deliver(frame);
    this.bench.device.step(8);
  }

  control(command: Uint8Array): number {
    const { bench } = this;
    const at = AT.buffers + 0x2000;
    bench.guest.write(at, command);
    bench.rings[CTRL]!.add(
      bench
        .list()
        .addReadable(at, command.length)
        .addWritable(at + 100, 1),
    );
    bench.rings[CTRL]!.publish();
    bench.face.kick(CTRL);
    bench.device.step(8);
    expect(bench.collect(CTRL)).toEqual([1]);
    return bench.guest.read(at + 100, 1)[0]!;
  }

  /** Both directions work. */
  probe(): void {
    const sent = this.backend.sent.length;
    this.transmit(frameOf(60, sent));
    expect(this.backend.sent.at(-1)!.bytes).toEqual(frameOf(60, sent));
    expect(this.bench.collect(TX)).toEqual([0]);
    this.post();
    this.receive(frameOf(61, sent));
    expect(this.bench.collect(RX)).toEqual([73]);
    expect(this.bench.guest.read(AT.buffers + 0x1000 + 12, 61)).toEqual(frameOf(61, sent));
  }
}

describe.each(EVERYWHERE)('%s, %s: a network device behind registers', (face, layout) => {
  test('it is negotiated, sends, receives, interrupts and answers commands', () => {
    const stage = new Stage(face, layout);
    const { bench } = stage;
    expect(bench.face.status()).toBe(S.ACK | S.DRIVER | S.FEATURES | S.OK);
    expect([bench.face.config(0, 4), bench.face.config(4, 2), bench.face.config(6, 2)]).toEqual([
      0x12005452, 0x5634, 1,
    ]);
    stage.probe();
    expect(bench.face.takeInterrupts()).toEqual({ used: true, config: false });
    expect(stage.control(hex('00 00 01'))).toBe(0);
    stage.post();
    stage.receive(frameOf(60, 1, '525400999999'));
    expect(bench.collect(RX)).toEqual([72]);
  });

  test('NG-02: FEATURES_OK does not stick for features that require others', () => {
    const { bench } = new Stage(face, layout);
    const rings = layout === 'packed' ? [F.PACKED] : [];
    expect(bench.negotiate([F.VERSION_1, ...rings, NF.CTRL_RX]) & S.FEATURES).toBe(0);
    expect(bench.device.featuresRefusal).toMatch(/VIRTIO_NET_F_CTRL_RX requires VIRTIO_NET_F_CTRL_VQ/);
    expect(bench.negotiate([F.VERSION_1, ...rings, NF.CTRL_RX, NF.CTRL_VQ]) & S.FEATURES).toBe(S.FEATURES);
  });

  test('NG-22: the configuration cannot be written; when it changes, its generation and an interrupt say so', () => {
    const stage = new Stage(face, layout);
    const { bench } = stage;
    bench.face.writeConfig(0, 4, 0xffff_ffff);
    expect(bench.face.config(0, 4)).toBe(0x12005452);
    const before = bench.face.generation();
    expect(stage.control(hex('01 01 525400999999'))).toBe(0);
    expect(bench.face.config(2, 4)).toBe(0x99999900);
    expect(bench.face.generation()).not.toBe(before);
    bench.face.takeInterrupts();
    stage.bench.model.setLink(false);
    bench.device.step(8);
    expect(bench.face.takeInterrupts().config).toBe(true);
    expect(bench.face.config(6, 2)).toBe(0);
  });

  test('NG-13: RX-20: after a reset nothing is touched, whatever is kicked or comes; set up again, all works', () => {
    const stage = new Stage(face, layout);
    const { bench, backend } = stage;
    stage.probe();
    stage.post();
    stage.transmit(frameOf(60));
    bench.face.setStatus(0);
    const since = bench.guest.snapshot();
    backend.bring(frameOf(60));
    backend.device!.flush!();
    bench.face.kick(TX);
    bench.device.step(8);
    const host = { gpa: HOST, length: 0x1_0000 };
    expect(bench.guest.changesOutside(since, [host])).toEqual([]);
    expect(bench.model.drops[NET_DROP.RX_STOPPED]).toBe(1);
    bench.start([RX, TX, CTRL]);
    stage.probe();
  });

  test.each([RX, TX, CTRL])(
    'a ring of queue %i that cannot be trusted needs a reset, and a reset recovers',
    (index) => {
      const stage = new Stage(face, layout);
      const { bench, backend } = stage;
      bench.breakRing(index);
      bench.face.kick(index);
      backend.deliver(frameOf(60));
      bench.device.step(8);
      expect(bench.face.status() & S.NEEDS_RESET).toBe(S.NEEDS_RESET);
      const since = bench.guest.snapshot();
      backend.bring(frameOf(60));
      backend.device!.flush!();
      bench.device.step(8);
      const host = { gpa: HOST, length: 0x1_0000 };
      expect(bench.guest.changesOutside(since, [host])).toEqual([]);
      bench.start([RX, TX, CTRL]);
      stage.probe();
    },
  );

  test('NG-19: a queue that is reset is left alone, the others go on, and enabled again it works', () => {
    const stage = new Stage(face, layout, [F.RING_RESET]);
    const { bench } = stage;
    stage.probe();
    bench.face.resetQueue(RX);
    stage.receive(frameOf(60));
    expect(bench.model.drops[NET_DROP.RX_QUEUE_OFF]).toBe(1);
    stage.transmit(frameOf(60));
    expect(bench.collect(TX)).toEqual([0]);
    bench.addQueue(RX);
    stage.probe();
  });

  test('NG-21: a suspended device lets frames go by, and goes on when it is resumed', () => {
    const stage = new Stage(face, layout, [F.SUSPEND]);
    const { bench, backend } = stage;
    stage.post();
    bench.face.setStatus(bench.face.status() | S.SUSPEND);
    bench.device.step(8);
    expect(bench.face.status() & S.SUSPEND).toBe(S.SUSPEND);
    const since = bench.guest.snapshot();
    backend.bring(frameOf(60));
    backend.device!.flush!();
    bench.device.step(8);
    expect(bench.guest.changesOutside(since, [{ gpa: HOST, length: 0x1_0000 }])).toEqual([]);
    bench.face.setStatus((bench.face.status() & ~S.SUSPEND) | S.OK);
    stage.receive(frameOf(60));
    expect(bench.collect(RX)).toEqual([72]);
  });

  test('NG-12: what was made available before DRIVER_OK is served after it', () => {
    const stage = new Stage(face, layout);
    const { bench, backend } = stage;
    bench.negotiate();
    for (const index of [RX, TX]) bench.addQueue(index);
    bench.guest.write(AT.buffers, join(plainHeader(), frameOf(60)));
    bench.rings[TX]!.addReadable(AT.buffers, 72);
    bench.rings[TX]!.publish();
    bench.face.kick(TX);
    bench.device.step(8);
    expect(backend.sent).toEqual([]);
    bench.face.setStatus(S.ACK | S.DRIVER | S.FEATURES | S.OK);
    bench.device.step(8);
    expect(backend.sent.map(({ bytes }) => bytes)).toEqual([frameOf(60)]);
  });
});
