import { GCR_EXT, GPIE, IXGBE_COUNT, MRQC, MTQC } from '@ringwire/nic-spec/ixgbe';
import { VirtioError } from '@ringwire/virtio-spec';

/** How the card's queues are shared out: virtual function i has pool i, the physical one the pool behind them. */
export interface PoolPlan {
  /** Virtual functions. */
  readonly vfs: number;
  /** The physical function's pool. */
  readonly own: number;
  readonly queuesPerPool: number;
  // Values of the fields that lay registers and queues out.
  readonly vtMode: number;
  readonly gpieMode: number;
  readonly mrqc: number;
  readonly mtqc: number;
}

const SHARED_BY_32 = {
  queuesPerPool: 4,
  vtMode: GCR_EXT.VT_MODE_32,
  gpieMode: GPIE.VTMODE_32,
  mrqc: MRQC.VMDQ_RSS_32,
  mtqc: MTQC.VT_ENA | MTQC.POOLS_32,
} as const;
const SHARED_BY_64 = {
  queuesPerPool: 2,
  vtMode: GCR_EXT.VT_MODE_64,
  gpieMode: GPIE.VTMODE_64,
  mrqc: MRQC.VMDQ_RSS_64,
  mtqc: MTQC.VT_ENA | MTQC.POOLS_64,
} as const;

/**
 * 32 pools of 4 queues while they suffice, else 64 of 2. 82599 datasheet §7.1.2.2, §7.2.1.2
 * @param vfs 0 to 63
 * @throws VirtioError for more virtual functions than there are pools beside the physical one's
 */
export function planPools(vfs: number): PoolPlan {
  if (!Number.isInteger(vfs) || vfs < 0 || vfs > IXGBE_COUNT.VFS)
    throw new VirtioError('vfs', vfs, `an integer from 0 to ${IXGBE_COUNT.VFS}`, '82599 datasheet §7.10.2');
  return { vfs, own: vfs, ...(vfs < 32 ? SHARED_BY_32 : SHARED_BY_64) };
}
