/**
 * How a driver reaches its PCI function: the host's part. Sizes are 1, 2 or 4 bytes, accesses are naturally aligned,
 * values unsigned and little-endian. Reading where nothing answers gives all ones.
 */
export interface PciAccess {
  /** @param offset in configuration space, below 256 */
  configRead(offset: number, size: number): number;
  configWrite(offset: number, size: number, value: number): void;
  /** @param bar 0 to 5, @param offset from the BAR's start */
  barRead(bar: number, offset: number, size: number): number;
  barWrite(bar: number, offset: number, size: number, value: number): void;
}

/** How a driver reaches a virtio-mmio device: the same, with offsets from the start of its registers. */
export interface MmioAccess {
  read(offset: number, size: number): number;
  write(offset: number, size: number, value: number): void;
}
