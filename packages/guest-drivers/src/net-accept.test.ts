import {
  featureWords,
  hasFeature,
  type NetFeature,
  VIRTIO_F,
  VIRTIO_NET_F,
  VIRTIO_NET_F_REQUIRES,
} from '@ringwire/virtio-spec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { isBreakdown } from './breakdown.js';
import { acceptNetFeatures, NET_DRIVER_FEATURES, POLL_DRIVER_FEATURES } from './net-accept.js';
import type { NetFacts } from './net-facts.js';
import { NetStage } from './testing/net-stage.js';

const GOOD: NetFacts = {
  mac: Uint8Array.of(2, 0, 0, 0, 0, 1),
  status: 1,
  max_virtqueue_pairs: 4,
  mtu: 1500,
  speed: 0,
  duplex: 0,
  rss_max_key_size: 40,
  rss_max_indirection_table_length: 128,
  supported_hash_types: 0x3f,
  supported_tunnel_types: 0,
};
const ALL = featureWords([VIRTIO_F.VERSION_1, ...Object.values(VIRTIO_NET_F)]);
const accept = (offered: Uint32Array, facts: Partial<NetFacts> = {}): Uint32Array =>
  acceptNetFeatures(offered, NET_DRIVER_FEATURES, undefined, { ...GOOD, ...facts });
const has = (words: Uint32Array, name: NetFeature): boolean => hasFeature(words, VIRTIO_NET_F[name]);

test('drv.net.config.2,.7,.10, drv.net.tx.44: MAC, MTU, STANDBY and GUEST_HDRLEN are accepted when they are offered', () => {
  const accepted = accept(ALL);
  for (const name of ['MAC', 'MTU', 'STANDBY', 'GUEST_HDRLEN'] as const) expect(has(accepted, name)).toBe(true);
});

test('DR-22, drv.basic.features.2,.3: no set on offer makes the driver accept a feature without what it needs', () => {
  const bits = fc.subarray(Object.values(VIRTIO_NET_F) as number[]);
  fc.assert(
    fc.property(bits, bits, (offered, wanted) => {
      const words = featureWords(offered);
      for (const known of [NET_DRIVER_FEATURES, POLL_DRIVER_FEATURES]) {
        const accepted = acceptNetFeatures(words, known, featureWords(wanted), GOOD);
        for (const { bit, needs } of VIRTIO_NET_F_REQUIRES) {
          if (hasFeature(accepted, bit))
            expect(needs.every((group) => group.some((need) => hasFeature(accepted, need)))).toBe(true);
        }
        accepted.forEach((word, i) => {
          expect(word & ~words[i]!).toBe(0);
        });
      }
    }),
  );
});

test('drv.net.config.13,.14: HASH_REPORT and CTRL_RX_EXTRA are not accepted without CTRL_VQ', () => {
  const accepted = accept(featureWords([VIRTIO_NET_F.HASH_REPORT, VIRTIO_NET_F.CTRL_RX_EXTRA, VIRTIO_NET_F.CTRL_RX]));
  expect(Array.from(accepted)).toEqual([0, 0, 0, 0]);
});

test('DR-24: limits out of range take their features along', () => {
  for (const mtu of [0, 67]) expect(has(accept(ALL, { mtu }), 'MTU')).toBe(false);
  for (const max_virtqueue_pairs of [0, 0x8001, 65535]) {
    const accepted = accept(ALL, { max_virtqueue_pairs });
    expect([has(accepted, 'MQ'), has(accepted, 'RSS'), has(accepted, 'RSS_CONTEXT')]).toEqual([false, false, false]);
  }
  expect(has(accept(ALL, { rss_max_key_size: 0 }), 'RSS')).toBe(false);
  expect(has(accept(ALL, { rss_max_key_size: 0 }), 'HASH_TUNNEL')).toBe(false);
  expect(has(accept(ALL, { rss_max_indirection_table_length: 0 }), 'RSS')).toBe(false);
});

test('DR-24: 32768 pairs in the configuration make no more queues than were asked for', () => {
  const config = new Uint8Array(28);
  new DataView(config.buffer).setUint16(8, 0x8000, true);
  const stage = new NetStage({ features: [VIRTIO_NET_F.MQ, VIRTIO_NET_F.CTRL_VQ], config, setup: { pairs: 2 } });
  // The control queue would be behind all of them, and has no index.
  expect(isBreakdown(stage.tryOpen())).toBe(true);
  expect(stage.pages.inUse).toBe(0);
});
