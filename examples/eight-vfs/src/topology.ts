import type { FunctionKind } from 'bench/card';

/** What a guest does beside sending to its neighbour and to the wire. */
type GuestScript = 'plain' | 'forges' | 'pauses';

/** One virtual function: what it is, what its guest does, and what the host allows. */
export interface FunctionPlan {
  readonly kind: FunctionKind;
  readonly script: GuestScript;
  /** Mbit/s; 0: no limit. */
  readonly maxTxRate: number;
}

const plain = (kind: FunctionKind): FunctionPlan => ({ kind, script: 'plain', maxTxRate: 0 });

/**
 * The card: one port of 10 Gbit/s, and eight virtual functions behind physical ones of three kinds. Two have a rate limit, the
 * guest of one sends from its neighbour's address now and then, that of another sends PAUSE frames.
 */
export const FUNCTIONS: readonly FunctionPlan[] = [
  plain('virtio'),
  plain('82599'),
  plain('vendor-b'),
  { ...plain('virtio'), maxTxRate: 20 },
  { ...plain('82599'), maxTxRate: 12 },
  { ...plain('vendor-b'), script: 'pauses' },
  { ...plain('virtio'), script: 'forges' },
  plain('82599'),
];

export const RAM_BYTES = 0x40_0000;
/** A station beyond the wire. */
export const OUTSIDE: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0xff, 1);
/** Bytes of a frame without its check sequence. */
export const FRAME_BYTES = 1514;
/** Of frames of a guest with a script, one in so many is what the script says. */
export const ODD_ONE = 16;

/** Words that all threads share. */
export const WORD = { GO: 0, SAMPLES: 1, COUNT: 16 } as const;
/** How often rates are written down, in ms, and how often at most. */
export const SAMPLE_MS = 100;
export const SAMPLES_MOST = 1200;
