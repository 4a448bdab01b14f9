import { VirtioError } from '@ringwire/virtio-spec';
import { type Bar, type BarOptions, barsOf } from './bars.js';
import { PCI_HEADER } from './config-header.js';
import type { RegisterBlock } from './register-block.js';
import type { VirtualSeat } from './virtual-seat.js';

/** The BARs of a function, and which of them is decoded where. */
export class FunctionBars {
  private readonly list: readonly (Bar | undefined)[];
  private readonly placeOf: (bar: Bar) => number;

  /** @param placeOf where the registers say that a BAR is; -1 for nowhere */
  constructor(list: readonly (Bar | undefined)[], placeOf: (bar: Bar) => number) {
    this.list = list;
    this.placeOf = placeOf;
  }

  get(index: number): Bar | undefined {
    return this.list[index];
  }

  /** The BAR that is decoded at an address of memory, or of I/O, or -1. */
  at(address: number, io: boolean): number {
    for (const bar of this.list) {
      if (bar === undefined || bar.io !== io || bar.address < 0) continue;
      if (address >= bar.address && address < bar.address + bar.size) return bar.index;
    }
    return -1;
  }

  /**
   * Bring BARs in line with the registers.
   * @param opens whether BARs of I/O, or of memory, are decoded now
   * @param moved told of each that is decoded elsewhere from now on; -1: nowhere
   */
  settle(opens: (io: boolean) => boolean, moved: (bar: number, address: number) => void): void {
    for (const bar of this.list) {
      if (bar === undefined) continue;
      const address = opens(bar.io) ? this.placeOf(bar) : -1;
      if (bar.address === address) continue;
      bar.address = address;
      moved(bar.index, address);
    }
  }
}

/** BARs whose registers are in the function's own configuration space. */
export function ownBars(options: readonly BarOptions[], config: RegisterBlock): FunctionBars {
  const list = barsOf(options);
  for (const bar of list) bar?.define(config, PCI_HEADER.BASE_ADDRESS);
  return new FunctionBars(list, (bar) => bar.programmed(config, PCI_HEADER.BASE_ADDRESS, bar.size));
}

/**
 * BARs of a virtual function: its shares of the physical one's VF BARs. They are as long as those, which the system's page
 * size may have made longer than what is behind them.
 * @throws VirtioError for a BAR that the physical function has none for, or a smaller one
 */
export function virtualBars(options: readonly BarOptions[], seat: VirtualSeat): FunctionBars {
  const shares = options.map((option) => {
    const size = seat.barSize(option.index);
    if (option.space === 'io' || option.size > size)
      throw new VirtioError(
        `BAR ${option.index} size`,
        option.size,
        `at most ${size}, a VF BAR's share`,
        'PCIe 5.0 §9.3.3.14',
      );
    return { ...option, size };
  });
  return new FunctionBars(barsOf(shares), (bar) => seat.barAddress(bar.index));
}
