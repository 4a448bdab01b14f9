/**
 * Said once for every table of this package: a field wider than a byte is little-endian, and structures have no
 * padding other than their named fields (virtio 1.4 §1.4; §2.7 rings, §4.1.3 PCI, §4.2.2 MMIO).
 *
 * Two forms of table are used. A structure in memory is a flat list of byte offsets with `SIZE` and, where the
 * spec asks for one, `ALIGN`: `VIRTQ_DESC.len` is 8. A block of registers is a table of rows, because its
 * readers also dispatch on width and access: `COMMON_CFG.queue_desc` is `{ at: 0x20, bytes: 8, access: 'rw' }`.
 */

/** One field: byte offset and width in bytes. */
export interface FieldRow {
  readonly at: number;
  readonly bytes: number;
}

/** One register. `access` is the driver's: `ro` is not written, `wo` is not read. */
export interface RegisterRow extends FieldRow {
  readonly bytes: 1 | 2 | 4 | 8;
  readonly access: 'ro' | 'wo' | 'rw';
}

/**
 * The table `T`, checked by the compiler to hold only rows of type `Row`. A `satisfies` at the table would say
 * the same, but `isolatedDeclarations` takes no exported constant that ends in one.
 */
export type TableOf<Row, T extends Readonly<Record<string, Row>>> = T;
