import { VirtioError } from './virtio-error.js';

/**
 * Feature sets as 32-bit words, the form in which both transports select and show them (virtio 1.4 §4.1.4.3
 * device_feature_select, §4.2.2 DeviceFeaturesSel): bit n is bit n & 31 of word n >>> 5, for every n alike.
 */

/** Words of a feature set: virtio 1.4 §2.2 reserves bits from 128 on for the future. */
export const FEATURE_WORDS = 4;

/** True when the bit is set; false for a bit beyond the words. */
export const hasFeature = (words: Uint32Array, bit: number): boolean => ((words[bit >>> 5]! >>> (bit & 31)) & 1) === 1;

/** Set one bit in the caller's words. */
export function setFeature(words: Uint32Array, bit: number): void {
  const bits = words.length * 32;
  if (!Number.isInteger(bit) || bit < 0 || bit >= bits) {
    throw new VirtioError('feature bit', bit, `0 to ${bits - 1}`, 'virtio 1.4 §2.2');
  }
  words[bit >>> 5]! |= 1 << (bit & 31);
}

/** A new set of FEATURE_WORDS words with these bits set. */
export function featureWords(bits: Iterable<number>): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(FEATURE_WORDS);
  for (const bit of bits) setFeature(words, bit);
  return words;
}

/** A new set from one number with bit n at 2^n. For configuration, not for a hot path. */
export function featuresFromBigInt(features: bigint): Uint32Array<ArrayBuffer> {
  if (features < 0n || features >> BigInt(FEATURE_WORDS * 32) !== 0n) {
    throw new VirtioError('features', features, `0 to 2^${FEATURE_WORDS * 32} - 1`, 'virtio 1.4 §2.2');
  }
  const words = new Uint32Array(FEATURE_WORDS);
  for (let word = 0; word < FEATURE_WORDS; word++) words[word] = Number((features >> BigInt(word * 32)) & 0xffff_ffffn);
  return words;
}

/** The set as one number with bit n at 2^n. For printing, not for a hot path. */
export function featuresToBigInt(words: Uint32Array): bigint {
  let features = 0n;
  for (let word = words.length - 1; word >= 0; word--) features = (features << 32n) | BigInt(words[word]!);
  return features;
}
