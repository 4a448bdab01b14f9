/**
 * A walk of AMD IOMMU 3.x §2.2 as slow and plain as can be, over whole 64-bit numbers: what the unit's walk is compared
 * with. It shares nothing with it, neither code nor tables of bits.
 */

export interface ReferenceSetup {
  readonly view: DataView;
  readonly levels: number;
  readonly deviceTable: bigint;
  readonly deviceTableBytes: bigint;
}

export type ReferenceVerdict =
  | {
      readonly kind: 'page';
      readonly physical: bigint;
      readonly bytes: bigint;
      readonly rights: string;
      readonly domain: bigint;
    }
  | { readonly kind: 'untranslated'; readonly rights: string }
  | { readonly kind: 'interrupt' }
  /** First quadword of the event and its address; undefined when it is suppressed. */
  | { readonly kind: 'fault'; readonly event: readonly [bigint, bigint] | undefined };

export function referenceWalk(
  setup: ReferenceSetup,
  device: number,
  address: bigint,
  write: boolean,
): ReferenceVerdict {
  const interrupt = write && address >= 0xfee00000n && address < 0xfef00000n;
  const direction = interrupt ? bit(51) : write ? bit(53) : 0n;
  const event = (code: bigint, flags: bigint, at: bigint): ReferenceVerdict => ({
    kind: 'fault',
    event: [(code << 60n) | flags | direction | BigInt(device), at],
  });

  const at = BigInt(device) * 32n;
  if (at >= setup.deviceTableBytes) return event(1n, 0n, address);
  const dte = [0n, 8n, 16n, 24n].map((quad) => read(setup, setup.deviceTable + at + quad));
  const [q0, q1, q2, q3] = dte;
  if (q0 === undefined || q1 === undefined || q2 === undefined || q3 === undefined)
    return event(3n, bit(57), setup.deviceTable + at);
  const valid = field(q0, 0, 0) === 1n;
  if (valid) {
    const reserved = [field(q0, 6, 2), field(q0, 55, 52), field(q0, 63, 63), field(q3, 14, 0), field(q3, 53, 48)];
    if (reserved.some((bits) => bits !== 0n) || field(q0, 8, 7) === 2n) return event(1n, bit(55), address);
  }
  const domain = valid ? field(q1, 15, 0) : 0n;
  if (interrupt) {
    if (field(q2, 0, 0) === 0n) return { kind: 'interrupt' };
    const control = field(q2, 61, 60);
    if (field(q2, 53, 52) !== 0n || control === 3n) return event(1n, bit(55), address);
    if (control !== 0n) return { kind: 'interrupt' };
    return field(q2, 5, 5) === 1n ? { kind: 'fault', event: undefined } : event(2n, domain << 32n, address);
  }
  if (!valid) return { kind: 'untranslated', rights: 'RW' };
  if (address >= 0xfee00000n && address < 0xfef00000n) return event(8n, 0n, address);

  const pageFault = (flags: bigint): ReferenceVerdict =>
    field(q1, 34, 34) === 1n ? { kind: 'fault', event: undefined } : event(2n, flags | (domain << 32n), address);
  if (field(q0, 1, 1) === 0n) return pageFault(0n);
  const mode = field(q0, 11, 9);
  if (mode > BigInt(setup.levels)) return event(1n, 0n, address);
  let rights = rightsOf(q0);
  const wanted = write ? 'W' : 'R';
  if (!rights.includes(wanted)) return pageFault(bit(52) | bit(54));
  if (mode === 0n) return { kind: 'untranslated', rights };
  if (mode < 6n && address >> (12n + 9n * mode) !== 0n) return pageFault(bit(52));

  let table = field(q0, 51, 12) << 12n;
  let level = mode;
  for (;;) {
    const low = 12n + 9n * (level - 1n);
    const entryAt = table + ((address >> low) & 511n) * 8n;
    const entry = read(setup, entryAt);
    if (entry === undefined) return event(4n, bit(57) | (domain << 32n), entryAt);
    if (field(entry, 0, 0) === 0n) return pageFault(0n);
    const next = field(entry, 11, 9);
    const isPage = next === 0n || next === 7n;
    if (field(entry, isPage ? 58 : 60, 52) !== 0n) return pageFault(bit(52) | bit(55));
    let bytes = 1n << low;
    if (isPage) {
      if (level === 6n) return pageFault(bit(52));
      if (next === 7n) {
        const above = 1n << (low + 9n);
        const size = sizeOf(entry);
        if (size === undefined || size <= bytes || size >= above) return pageFault(bit(52));
        bytes = size;
      }
    } else {
      if (next >= level) return pageFault(bit(52));
      // Each skipped level has nine address bits, which are zero.
      for (let skipped = level - 1n; skipped > next; skipped--)
        if (((address >> (12n + 9n * (skipped - 1n))) & 511n) !== 0n) return pageFault(bit(52));
    }
    const here = rightsOf(entry);
    rights = [...rights].filter((right) => here.includes(right)).join('');
    if (!rights.includes(wanted)) return pageFault(bit(52) | bit(54));
    const target = field(entry, 51, 12) << 12n;
    if (isPage) return { kind: 'page', physical: (target & -bytes) | (address & (bytes - 1n)), bytes, rights, domain };
    table = target;
    level = next;
  }
}

const bit = (position: number): bigint => 1n << BigInt(position);

const field = (value: bigint, high: number, low: number): bigint =>
  (value >> BigInt(low)) & ((1n << BigInt(high - low + 1)) - 1n);

const rightsOf = (entry: bigint): string =>
  (field(entry, 61, 61) === 1n ? 'R' : '') + (field(entry, 62, 62) === 1n ? 'W' : '');

/** Twice the first address bit, from 12 on, that is zero. */
function sizeOf(entry: bigint): bigint | undefined {
  for (let position = 12; position <= 51; position++)
    if (field(entry, position, position) === 0n) return bit(position + 1);
  return undefined;
}

function read(setup: ReferenceSetup, at: bigint): bigint | undefined {
  return at + 8n <= BigInt(setup.view.byteLength) ? setup.view.getBigUint64(Number(at), true) : undefined;
}
