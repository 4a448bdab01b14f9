/**
 * Writes there are interrupt requests, whatever the tables say (AMD IOMMU spec 3.x §2.1.2). Both ends included; the
 * window is 1 MiB, naturally aligned.
 */
const INTERRUPT_WINDOW = { FIRST: 0xfee0_0000, LAST: 0xfeef_ffff } as const;

const FIRST = INTERRUPT_WINDOW.FIRST;
const LAST = INTERRUPT_WINDOW.LAST;

export const inInterruptWindow = (address: number): boolean => address >= FIRST && address <= LAST;

/** Whether a stretch has a byte of the window. @param last its last byte */
export const meetsInterruptWindow = (first: number, last: number): boolean => first <= LAST && last >= FIRST;
