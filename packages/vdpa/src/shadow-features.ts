import { featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';

/** What a driver's ring may be, whatever the device's is. */
const FRONT_BITS = [
  VIRTIO_F.INDIRECT_DESC,
  VIRTIO_F.EVENT_IDX,
  VIRTIO_F.VERSION_1,
  VIRTIO_F.ACCESS_PLATFORM,
  VIRTIO_F.RING_PACKED,
  VIRTIO_F.ORDER_PLATFORM,
] as const;
/** Bits of rings and transports: not of the device type. virtio 1.4 §2.2 */
const RING_FIRST = 24;
const RING_LAST = 49;

/** What a driver in front of shadow queues is offered: its type's as the device has them, rings as they are in front. */
export function featuresInFront(device: Uint32Array): Uint32Array {
  const own = featureWords(FRONT_BITS);
  return device.map((word, at) => (word & typeBits(at)) | own[at]!);
}

/** What the device behind them accepts: its type's as the driver has them, rings as they are behind. */
export function featuresBehind(driver: Uint32Array, device: Uint32Array, isPacked: boolean): Uint32Array {
  // A driver that leaves these out is refused by the device, as it should be.
  const bits: number[] = [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM].filter((bit) => hasFeature(driver, bit));
  if (isPacked) bits.push(VIRTIO_F.RING_PACKED);
  for (const bit of [VIRTIO_F.EVENT_IDX, VIRTIO_F.RING_RESET, VIRTIO_F.ORDER_PLATFORM])
    if (hasFeature(device, bit)) bits.push(bit);
  const own = featureWords(bits);
  return driver.map((word, at) => (word & typeBits(at)) | own[at]!);
}

/** Bits of a feature word that are the device type's. */
function typeBits(word: number): number {
  let bits = 0;
  for (let bit = 0; bit < 32; bit++) {
    const number = 32 * word + bit;
    if (number < RING_FIRST || number > RING_LAST) bits |= 1 << bit;
  }
  return bits;
}
