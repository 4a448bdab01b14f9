import { FEATURE_WORDS, featureWords, hasFeature, setFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  VIRTIO_NET_CONFIG,
  VIRTIO_NET_CONFIG_SIZE,
  VIRTIO_NET_DUPLEX,
  VIRTIO_NET_F,
  VIRTIO_NET_S,
  VIRTIO_NET_SPEED,
} from '@ringwire/virtio-spec/net';

const F = VIRTIO_NET_F;

/** What a driver may use as the back-end offers it: rings, and all that headers of frames ask for. */
const PASSED: Uint32Array = featureWords([
  ...[VIRTIO_F.INDIRECT_DESC, VIRTIO_F.EVENT_IDX, VIRTIO_F.VERSION_1, VIRTIO_F.RING_PACKED, VIRTIO_F.IN_ORDER],
  ...[F.CSUM, F.HOST_TSO4, F.HOST_TSO6, F.HOST_ECN, F.HOST_UFO, F.HOST_USO],
  ...[F.GUEST_CSUM, F.GUEST_TSO4, F.GUEST_TSO6, F.GUEST_ECN, F.GUEST_UFO, F.GUEST_USO4, F.GUEST_USO6],
  ...[F.MRG_RXBUF, F.GUEST_HDRLEN],
]);

/** What the front-end knows of the device beside what the back-end offers. */
export interface OwnFacts {
  readonly mac: Uint8Array | undefined;
  /** Bytes; it is offered only where the back-end can be told. */
  readonly mtu: number | undefined;
  /** Queue pairs, 1 or more. */
  readonly pairs: number;
}

/**
 * What the driver is offered. The control queue is the front-end's and does one thing: it sets the number of queue pairs.
 * @param backEnd feature words that the back-end offers
 * @param config the back-end's configuration, where it has one
 */
export function offeredFeatures(
  backEnd: Uint32Array,
  config: Uint8Array | undefined,
  { mac, mtu, pairs }: OwnFacts,
): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(FEATURE_WORDS);
  for (let word = 0; word < FEATURE_WORDS; word++) words[word] = backEnd[word]! & PASSED[word]!;
  const offers = (bit: number): boolean => config !== undefined && hasFeature(backEnd, bit);
  // The link is the connection, so there is always a state of it.
  setFeature(words, F.STATUS);
  if (mac !== undefined || offers(F.MAC)) setFeature(words, F.MAC);
  if (mtu !== undefined || offers(F.MTU)) setFeature(words, F.MTU);
  if (offers(F.SPEED_DUPLEX)) setFeature(words, F.SPEED_DUPLEX);
  if (pairs > 1) for (const bit of [F.MQ, F.CTRL_VQ]) setFeature(words, bit);
  return words;
}

/** The features to tell the back-end: those that it offered. The control queue is no business of its. */
export function backEndFeatures(driver: Uint32Array, backEnd: Uint32Array): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(FEATURE_WORDS);
  for (let word = 0; word < FEATURE_WORDS; word++) words[word] = driver[word]! & backEnd[word]!;
  words[F.CTRL_VQ >>> 5]! &= ~(1 << F.CTRL_VQ);
  return words;
}

/**
 * The configuration that the driver reads.
 * @param config the back-end's, where it has one
 * @param backEndFeatures feature words that the back-end offers
 */
export function frontEndConfig(
  config: Uint8Array | undefined,
  backEnd: Uint32Array,
  { mac, mtu, pairs }: OwnFacts,
  isLinkUp: boolean,
): Uint8Array {
  const bytes = new Uint8Array(VIRTIO_NET_CONFIG_SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(VIRTIO_NET_CONFIG.speed.at, VIRTIO_NET_SPEED.UNKNOWN, true);
  view.setUint8(VIRTIO_NET_CONFIG.duplex.at, VIRTIO_NET_DUPLEX.UNKNOWN);
  if (config !== undefined) bytes.set(config.subarray(0, bytes.length));
  if (mac !== undefined) bytes.set(mac, VIRTIO_NET_CONFIG.mac.at);
  if (mtu !== undefined) view.setUint16(VIRTIO_NET_CONFIG.mtu.at, mtu, true);
  view.setUint16(VIRTIO_NET_CONFIG.max_virtqueue_pairs.at, pairs, true);
  const status = VIRTIO_NET_CONFIG.status.at;
  const isUpThere =
    config === undefined || !hasFeature(backEnd, F.STATUS) || (bytes[status]! & VIRTIO_NET_S.LINK_UP) !== 0;
  view.setUint16(status, isLinkUp && isUpThere ? VIRTIO_NET_S.LINK_UP : 0, true);
  return bytes;
}

/** Bytes of configuration that a back-end with these features has at least, so that they can be asked for. */
export function configBytes(backEnd: Uint32Array): number {
  const fields = Object.values(VIRTIO_NET_CONFIG).filter(
    ({ features }) => features.length === 0 || features.some((name) => hasFeature(backEnd, F[name])),
  );
  return Math.max(...fields.map(({ at, bytes }) => at + bytes));
}
