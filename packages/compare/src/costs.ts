/** What is counted of one frame's way, as far as processors do it. */
export interface Counts {
  readonly traps: number;
  readonly kicks: number;
  readonly interrupts: number;
  readonly injections: number;
  readonly copies: number;
  readonly copiedBytes: number;
}

/** ns that each of these takes a processor. */
export interface Prices {
  /** Into the host and back, for one register access: a VM exit. */
  readonly trap: number;
  /** A write to a doorbell. */
  readonly kick: number;
  /** A guest's interrupt, from its vector to its return. */
  readonly interrupt: number;
  /** To send a guest an interrupt, from the host. */
  readonly injection: number;
  /** A frame through software of the host: ring, switch, ring. */
  readonly copy: number;
  /** For each byte of it. */
  readonly copiedByte: number;
}

/** Assumed, in the order of size of what is published for servers; the order of architectures does not depend on them. */
export const PRICES: Prices = { trap: 1000, kick: 50, interrupt: 500, injection: 500, copy: 100, copiedByte: 0.05 };

/** ns of the host's processors for one frame, at a price for everything that is counted. */
export const hostCost = ({ traps, injections, copies, copiedBytes }: Counts, prices: Prices): number =>
  traps * prices.trap + injections * prices.injection + copies * prices.copy + copiedBytes * prices.copiedByte;

/** The same with what guests do for it: doorbells, and interrupts that they take. */
export const wayCost = (counts: Counts, prices: Prices): number =>
  hostCost(counts, prices) + counts.kicks * prices.kick + counts.interrupts * prices.interrupt;
