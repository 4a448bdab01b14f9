import type { Finding } from '@ringwire/ring-oracle';
import type { RingSet } from './load-set.js';

/** A violation that a real driver does commit, and that the oracles' devices put up with. */
interface KnownFault {
  readonly kind: RingSet['expected']['kind'];
  readonly part: Finding['part'];
  readonly ids: readonly string[];
}

/**
 * DPDK 22.11 fills the indirect tables of its packed transmit rings as if they were a ring: their entries have
 * NEXT and AVAIL set, which drv.packed.indirect.2 forbids, and the header's entry keeps WRITE from when the table was
 * made, so that the frame's readable entries follow a writable one. DPDK's vhost looks at none of these bits
 * when it transmits.
 */
const KNOWN_FAULTS: readonly KnownFault[] = [
  {
    kind: 'dpdk-virtqueue-packed',
    part: 'indirect table',
    ids: ['drv.packed.indirect.2', 'drv.packed.scatter-gather.3'],
  },
];

export const isKnownFault = ({ expected }: RingSet, { id, part }: Finding): boolean =>
  KNOWN_FAULTS.some((fault) => fault.kind === expected.kind && fault.part === part && fault.ids.includes(id));

/** True when the set's driver may have committed one: its device then looked at no WRITE flag when it transmitted. */
export const hasKnownFaults = ({ expected }: RingSet): boolean =>
  KNOWN_FAULTS.some(({ kind }) => kind === expected.kind);
