/** The place of one virtual function, and what it has of its physical function (PCIe 5.0 §9.2.1, §9.3.3). */
export interface VirtualSeat {
  /** From 0 on: the specification's VF 1 is 0 here. */
  readonly index: number;
  /** bus << 8 | device << 3 | function, as long as the function lives: what its requests carry. */
  readonly routingId: number;
  /** VF MSE: whether its BARs are decoded. */
  readonly memoryEnabled: boolean;
  /** Where its share of a VF BAR begins; -1 while there is no address, or no such BAR. */
  barAddress(index: number): number;
  /** Bytes of its share of a VF BAR; 0 where there is none. */
  barSize(index: number): number;
}
