import { VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isBreakdown } from './breakdown.js';
import { FramePieces } from './frame-pieces.js';
import { frameOf, NetStage, WAYS } from './testing/net-stage.js';
import { RawUsed } from './testing/raw-used.js';
import type { Field } from './testing/scripted-device.js';

const FEATURES = [
  ...[VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX, VIRTIO_F.IN_ORDER, VIRTIO_F.RING_RESET, VIRTIO_F.SUSPEND],
  ...[
    VIRTIO_NET_F.MRG_RXBUF,
    VIRTIO_NET_F.CTRL_VQ,
    VIRTIO_NET_F.CTRL_RX,
    VIRTIO_NET_F.STATUS,
    VIRTIO_NET_F.GUEST_ANNOUNCE,
  ],
  ...[VIRTIO_NET_F.GUEST_CSUM, VIRTIO_NET_F.GUEST_TSO4, VIRTIO_NET_F.HASH_REPORT, VIRTIO_NET_F.MAC, VIRTIO_NET_F.MTU],
];
const FIELDS: readonly Field[] = [
  ...(['device_status', 'config_generation', 'queue_size', 'queue_enable', 'queue_reset', 'device_feature'] as const),
  ...([
    'num_queues',
    'queue_notify_off',
    'queue_msix_vector',
    'config_msix_vector',
    'queue_notif_config_data',
  ] as const),
];

/** One thing that a hostile device, or its driver's user, does. */
const act = fc.oneof(
  fc.record({
    what: fc.constant('used' as const),
    queue: fc.nat(2),
    id: fc.nat(40),
    length: fc.constantFrom(0, 5, 12, 72, 4096, 0xffff_ffff),
  }),
  fc.record({
    what: fc.constant('again' as const),
    queue: fc.nat(2),
    id: fc.nat(20),
    length: fc.constantFrom(0, 1, 72, 4096),
  }),
  fc.record({
    what: fc.constant('header' as const),
    n: fc.nat(15),
    bytes: fc.uint8Array({ minLength: 12, maxLength: 20 }),
  }),
  fc.record({
    what: fc.constant('bend' as const),
    field: fc.constantFrom(...FIELDS),
    value: fc.constantFrom(0, 1, 64, 0xff, 0xffff),
  }),
  fc.record({ what: fc.constant('config' as const), at: fc.nat(27), value: fc.nat(255) }),
  fc.record({ what: fc.constant('interrupt' as const), cause: fc.nat(255), vector: fc.nat(5) }),
  fc.record({ what: fc.constantFrom('send' as const, 'pieces' as const, 'command' as const, 'restart' as const) }),
  fc.record({ what: fc.constant('later' as const), by: fc.constantFrom(1, 200, 6000) }),
);

test.each(WAYS)('whatever a device does, the driver neither throws nor hangs nor loses memory, %s', (_, way) => {
  fc.assert(
    fc.property(fc.subarray(FEATURES), fc.array(act, { maxLength: 40 }), (features, acts) => {
      const stage = new NetStage({ ...way, features, pci: { vectors: 4 } });
      const own = stage.pages.allocate(4096);
      const driver = stage.tryOpen();
      if (isBreakdown(driver)) return;
      const raws = [0, 1, 2].map((index) => new RawUsed(stage.device, index));
      for (const step of acts) {
        const isUp = driver.state === 'running' && stage.device.queues[0]!.enabled === 1;
        switch (step.what) {
          case 'used':
          case 'again': {
            if (!isUp || stage.device.queues[step.queue]!.enabled !== 1) break;
            const raw = raws[step.queue]!;
            raw.put(step.what === 'used' ? step.id : raw.available(step.id), step.length);
            break;
          }
          case 'header':
            if (isUp && stage.guest.resolve(stage.addressOf(0, step.n), 20, 2) >= 0)
              stage.guest.write(stage.addressOf(0, step.n), step.bytes);
            break;
          case 'bend':
            stage.device.bend.set(step.field, () => step.value);
            break;
          case 'config':
            stage.device.config[step.at] = step.value;
            break;
          case 'interrupt':
            stage.interrupt(driver, step.cause, step.vector);
            break;
          case 'send':
            driver.sendBytes(frameOf(60));
            break;
          case 'pieces':
            driver.send(new FramePieces().add(own, 30).add(own + 30, 30), undefined, 0, 1);
            break;
          case 'command':
            if ((stage.device.driverFeatures[0]! >>> VIRTIO_NET_F.CTRL_RX) & 1)
              driver.commands?.setRxMode('PROMISC', true);
            break;
          case 'restart':
            if (features.includes(VIRTIO_F.RING_RESET)) driver.restartPair(0);
            break;
          case 'later':
            stage.time += step.by;
            driver.watch();
            break;
        }
      }
      // The device behaves again: everything is given back.
      stage.device.bend.clear();
      const before = driver.state;
      driver.close();
      if (before === 'running') expect(stage.pages.inUse).toBe(4096);
    }),
    { numRuns: 150 },
  );
});
