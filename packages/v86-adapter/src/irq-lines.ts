import type { V86Pci } from './v86-parts.js';

/** The four interrupt lines of the bus, in configuration space of the ISA bridge. */
const LINES_AT = 0x60;
const LINES = 4;
/** PCI: pin INTA of device d is line d - 1, as v86 wires it. All functions have that pin. */
const lineOf = (id: number): number => ((id >> 3) - 1) & (LINES - 1);

/**
 * Interrupt lines that several functions share are asserted as long as one of them asserts its pin (PCI 3.0 §2.2.6). v86
 * lets the last word count: with two cards on a line, one would take the other's interrupt away.
 */
export function shareIrqLines(pci: V86Pci): void {
  const asserted = new Set<number>();
  const { raise_irq: raise, lower_irq: lower } = pci;
  const irqOf = (id: number): number => pci.isa_bridge_space8[LINES_AT + lineOf(id)]!;
  pci.raise_irq = (id) => {
    asserted.add(id);
    raise.call(pci, id);
  };
  pci.lower_irq = (id) => {
    asserted.delete(id);
    for (const other of asserted) if (irqOf(other) === irqOf(id)) return;
    lower.call(pci, id);
  };
}
