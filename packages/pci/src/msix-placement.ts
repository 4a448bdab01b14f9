import { VirtioError } from '@ringwire/virtio-spec';
import type { BarRegion } from './bar-region.js';
import type { BarOptions } from './bars.js';
import { PCI_MSIX, PCI_MSIX_CONTROL, PCI_MSIX_PLACE } from './capability-layouts.js';
import { MsixTable, type SendMessage } from './msix-table.js';
import type { RegisterBlock } from './register-block.js';

/** The table, after power-on, of an MSI-X capability at `at`. */
export function tableOf(config: RegisterBlock, at: number, send: SendMessage, words?: Int32Array): MsixTable {
  const control = config.get16(at + PCI_MSIX.MESSAGE_CONTROL);
  const table = new MsixTable((control & PCI_MSIX_CONTROL.TABLE_SIZE) + 1, send, words);
  table.reset();
  return table;
}

/** BARs with the table and its pending bits where the capability says they are. */
export function withTable(
  bars: readonly BarOptions[],
  config: RegisterBlock,
  at: number,
  table: MsixTable,
): readonly BarOptions[] {
  const tableAt = config.get32(at + PCI_MSIX.TABLE);
  const pbaAt = config.get32(at + PCI_MSIX.PBA);
  const withEntries = add(bars, tableAt, table.tableRegion((tableAt & PCI_MSIX_PLACE.OFFSET) >>> 0));
  return add(withEntries, pbaAt, table.pbaRegion((pbaAt & PCI_MSIX_PLACE.OFFSET) >>> 0));
}

function add(bars: readonly BarOptions[], place: number, region: BarRegion): readonly BarOptions[] {
  const index = place & PCI_MSIX_PLACE.BIR;
  if (!bars.some((bar) => bar.index === index))
    throw new VirtioError('MSI-X BAR', index, 'a BAR of the function', 'PCIe 5.0 §7.7.2.3');
  return bars.map((bar) => (bar.index === index ? { ...bar, regions: [...bar.regions, region] } : bar));
}
