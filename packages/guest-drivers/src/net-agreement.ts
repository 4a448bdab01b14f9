import { hasFeature } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { type Breakdown, isBreakdown } from './breakdown.js';
import { acceptNetFeatures } from './net-accept.js';
import type { NetCounters } from './net-counters.js';
import { isStationAddress, type NetFacts, randomAddress, readNetFacts } from './net-facts.js';
import { type OffloadRules, offloadRules } from './offload-rules.js';
import type { RxKind } from './rx-buffers.js';
import type { VirtioDriver } from './virtio-driver.js';

/** What a driver wants of a device before it knows it. */
export interface NetWishes {
  /** Feature words to choose from; all that the driver knows when left out. */
  readonly features?: Uint32Array | undefined;
  /** Queue pairs at most. */
  readonly pairs: number;
  /** The station's address; the device's when left out. */
  readonly mac?: Uint8Array | undefined;
  readonly random: () => number;
}

/** What was agreed on with the device, for one life of it. */
export interface NetAgreement {
  readonly features: Uint32Array;
  readonly facts: NetFacts;
  readonly rules: OffloadRules;
  /** Queue pairs that are to be set up. */
  readonly pairs: number;
  /** -1 without a control queue. */
  readonly controlIndex: number;
  readonly mac: Uint8Array<ArrayBuffer>;
  /** The address is another one than the device's. */
  readonly isOwnMac: boolean;
  /** 0 when it is not negotiated. */
  readonly mtu: number;
}

/**
 * Steps 4 to 6 of the initialization, for a network device.
 * @param known features that the driver knows
 * @see virtio 1.4 §3.1.1, §5.1.5
 */
export function agreeNet(
  driver: VirtioDriver,
  known: Uint32Array,
  wishes: NetWishes,
  counters: NetCounters,
): NetAgreement | Breakdown {
  const offered = driver.offered();
  const facts = readNetFacts(driver, offered);
  if (isBreakdown(facts)) return driver.fail(facts);
  const features = acceptNetFeatures(offered, known, wishes.features, facts);
  const refused = driver.negotiate(features);
  if (refused !== undefined) return refused;
  const has = (bit: number): boolean => hasFeature(features, bit);
  const isMulti = has(VIRTIO_NET_F.MQ) || has(VIRTIO_NET_F.RSS);
  const given = has(VIRTIO_NET_F.MAC) && isStationAddress(facts.mac) ? facts.mac : undefined;
  if (has(VIRTIO_NET_F.MAC) && given === undefined) counters.macReplaced++;
  const mac = Uint8Array.from(wishes.mac ?? given ?? randomAddress(wishes.random));
  return {
    features,
    facts,
    rules: offloadRules(features),
    pairs: isMulti ? Math.min(facts.max_virtqueue_pairs, wishes.pairs) : 1,
    controlIndex: has(VIRTIO_NET_F.CTRL_VQ) ? 2 * (isMulti ? facts.max_virtqueue_pairs : 1) : -1,
    mac,
    isOwnMac: mac.some((byte, i) => byte !== facts.mac[i]),
    mtu: has(VIRTIO_NET_F.MTU) ? facts.mtu : 0,
  };
}

/** Virtqueue indexes of what was agreed on: receive and transmit queues in turn, then the control queue. */
export function queueIndexes({ pairs, controlIndex }: NetAgreement): number[] {
  const indexes = Array.from({ length: 2 * pairs }, (_, index) => index);
  if (controlIndex >= 0) indexes.push(controlIndex);
  return indexes;
}

/** @see virtio 1.4 §5.1.9.3.1 */
export function rxKind({ features, rules }: NetAgreement): RxKind {
  if (hasFeature(features, VIRTIO_NET_F.MRG_RXBUF)) return 'mergeable';
  return rules.receive.types === 0 ? 'small' : 'big';
}
