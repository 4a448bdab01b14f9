/** Which way a buffer's bytes go: the `ACCESS` bits that its device gets. */
export const DMA_DIRECTION = { TO_DEVICE: 1, FROM_DEVICE: 2, BIDIRECTIONAL: 3 } as const;
/** One of {@link DMA_DIRECTION}. */
export type DmaDirection = (typeof DMA_DIRECTION)[keyof typeof DMA_DIRECTION];

/** In words, for reports. */
export function wayOf(direction: DmaDirection): string {
  switch (direction) {
    case DMA_DIRECTION.TO_DEVICE:
      return 'to the device';
    case DMA_DIRECTION.FROM_DEVICE:
      return 'from the device';
    default:
      return 'both ways';
  }
}
