import { VirtioError } from '@ringwire/virtio-spec';
import { PCI_SRIOV } from '../capability-layouts.js';
import { PCI_COMMAND, PCI_HEADER, PCI_TYPE1 } from '../config-header.js';
import type { ConfigAccess } from './config-access.js';
import type { FoundFunction } from './scan-buses.js';
import { type FoundBar, programBar } from './size-bars.js';

/** Addresses from `base` up to `end`. */
export interface AddressRange {
  readonly base: number;
  readonly end: number;
}

/** Addresses that BARs may be given. */
export interface PlaceRanges {
  /** Below 4 GiB: memory that is not prefetchable, or whose BAR has 32 bits. */
  readonly memory: AddressRange;
  /** The rest. */
  readonly prefetchable: AddressRange;
  /** Ports, for BARs of I/O. */
  readonly io: AddressRange;
}

type Pool = keyof PlaceRanges;

const STEP: Record<Pool, number> = { memory: 0x10_0000, prefetchable: 0x10_0000, io: 0x1000 };
const POOLS = Object.keys(STEP) as Pool[];
const WORD = 0x1_0000_0000;
const { IO_SPACE_ENABLE, MEMORY_SPACE_ENABLE } = PCI_COMMAND;

/**
 * Give every BAR, and every VF BAR for all its functions, an address, open the windows of bridges for what is behind them,
 * and switch decoding on. Addresses are entered in `found`.
 * @throws VirtioError when a range is too small
 */
export function placeBars(access: ConfigAccess, found: readonly FoundFunction[], ranges: PlaceRanges): void {
  const next: Record<Pool, number> = {
    memory: ranges.memory.base,
    prefetchable: ranges.prefetchable.base,
    io: ranges.io.base,
  };
  const align = (pool: Pool, step: number): number => {
    next[pool] = Math.ceil(next[pool] / step) * step;
    return next[pool];
  };
  const take = (bar: FoundBar, count: number): void => {
    const pool = bar.space === 'io' ? 'io' : bar.space === 'memory64' && bar.prefetchable ? 'prefetchable' : 'memory';
    bar.address = align(pool, bar.size);
    next[pool] += bar.size * count;
    if (next[pool] > ranges[pool].end)
      throw new VirtioError(`${pool} range`, ranges[pool].end, `an end from ${next[pool]} on`, 'PCIe 5.0 §7.5.1.3');
  };
  const placeBelow = (above: number | undefined): void => {
    for (const one of found) {
      if (one.above !== above) continue;
      for (const bar of one.bars) take(bar, 1);
      for (const bar of one.sriov?.bars ?? []) take(bar, one.sriov!.totalVfs);
      program(access, one);
      if (!one.isBridge) continue;
      const base = Object.fromEntries(POOLS.map((pool) => [pool, align(pool, STEP[pool])])) as Record<Pool, number>;
      placeBelow(one.routingId);
      for (const pool of POOLS) open(access, one.routingId, pool, base[pool], align(pool, STEP[pool]));
    }
  };
  placeBelow(undefined);
}

/**
 * Write the addresses that `placeBars` gave a function into its registers again, as after a reset. Decoding is for its
 * driver to switch on.
 */
export function restoreBars(access: ConfigAccess, { routingId, physicalId, bars, sriov }: FoundFunction): void {
  // Those of a virtual function are its physical one's.
  if (physicalId !== undefined) return;
  for (const bar of bars) programBar(access, routingId, PCI_HEADER.BASE_ADDRESS, bar);
  for (const bar of sriov?.bars ?? []) programBar(access, routingId, sriov!.at + PCI_SRIOV.VF_BARS, bar);
}

function program(access: ConfigAccess, found: FoundFunction): void {
  restoreBars(access, found);
  const command = access.configRead(found.routingId, PCI_HEADER.COMMAND, 2);
  access.configWrite(found.routingId, PCI_HEADER.COMMAND, 2, command | IO_SPACE_ENABLE | MEMORY_SPACE_ENABLE);
}

/** A window without addresses is closed by a base above its limit. */
function open(access: ConfigAccess, bridge: number, pool: Pool, base: number, end: number): void {
  const [first, last] = base < end ? [base, end - STEP[pool]] : [0xfff0_0000, 0];
  const write = (at: number, size: number, value: number): void => access.configWrite(bridge, at, size, value);
  if (pool === 'io') {
    write(PCI_TYPE1.IO_BASE, 1, (first / 0x100) % 0x100);
    write(PCI_TYPE1.IO_LIMIT, 1, (last / 0x100) % 0x100);
    write(PCI_TYPE1.IO_BASE_UPPER, 2, Math.floor(first / 0x1_0000));
    write(PCI_TYPE1.IO_LIMIT_UPPER, 2, Math.floor(last / 0x1_0000));
  } else if (pool === 'memory') {
    write(PCI_TYPE1.MEMORY_BASE, 2, first / 0x1_0000);
    write(PCI_TYPE1.MEMORY_LIMIT, 2, last / 0x1_0000);
  } else {
    write(PCI_TYPE1.PREFETCHABLE_MEMORY_BASE, 2, (first % WORD) / 0x1_0000);
    write(PCI_TYPE1.PREFETCHABLE_MEMORY_LIMIT, 2, (last % WORD) / 0x1_0000);
    write(PCI_TYPE1.PREFETCHABLE_BASE_UPPER, 4, Math.floor(first / WORD));
    write(PCI_TYPE1.PREFETCHABLE_LIMIT_UPPER, 4, Math.floor(last / WORD));
  }
}
