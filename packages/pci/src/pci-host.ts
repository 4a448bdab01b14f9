/** What the function does to the machine around it. */
export interface PciHost {
  /**
   * Perform an MSI-X message: a DMA write of 4 bytes by this function, through its IOMMU, to wherever the guest said.
   * @param vector whose message it is
   */
  sendMessage(addressLow: number, addressHigh: number, data: number, vector: number): void;
  /** The level of the interrupt pin changed. */
  setIntx(asserted: boolean): void;
  /** A BAR is decoded at another address from now on; -1: at none. */
  barMoved?(bar: number, address: number): void;
}

/** Why a function starts anew. */
export type ResetKind = 'power-on' | 'function-level' | 'd3hot';

/** What becomes of the device behind the function. None of them is called once the function was removed. */
export interface PciDevice {
  /** Everything is as after power-on. When this returns, no DMA of before follows any more (PCIe 5.0 §6.6.2). */
  reset(kind: ResetKind): void;
  /** `PciFunction.mayMaster` changed: without it no DMA, and nothing completes. */
  masterChanged?(allowed: boolean): void;
  /** Software wrote configuration space, and all that follows from the registers has happened. */
  configWritten?(): void;
  /** The function is gone: the last call. */
  removed?(): void;
}
