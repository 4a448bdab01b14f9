import {
  EERD,
  eitrAt,
  IXGBE_COUNT,
  IXGBE_MSIX,
  PF_QUEUES_AT,
  PF_ROW,
  RX_QUEUE,
  TX_QUEUE,
} from '@ringwire/nic-spec/ixgbe';

const { QUEUES, VFS } = IXGBE_COUNT;
const RX_LOW_QUEUES = 64;
/** A card without EEPROM answers as one whose words are 0, with a sum that is right. */
const EEPROM = { CHECKSUM_WORD: 0x3f, SUM: 0xbaba, ADDRESS_MASK: 0x3fff } as const;

/** The receive queue that a register belongs to, or -1: between its registers there are others. */
export function rxQueueAt(at: number): number {
  const low = at - PF_QUEUES_AT.RX;
  const high = at - PF_QUEUES_AT.RX_HIGH;
  const isLow = low >= 0 && low < RX_LOW_QUEUES * RX_QUEUE.STRIDE;
  if (!isLow && (high < 0 || high >= (QUEUES - RX_LOW_QUEUES) * RX_QUEUE.STRIDE)) return -1;
  if (!RX_FIELDS.has(at % RX_QUEUE.STRIDE)) return -1;
  return isLow ? Math.floor(low / RX_QUEUE.STRIDE) : RX_LOW_QUEUES + Math.floor(high / RX_QUEUE.STRIDE);
}

export function txQueueAt(at: number): number {
  const offset = at - PF_QUEUES_AT.TX;
  if (offset < 0 || offset >= QUEUES * TX_QUEUE.STRIDE || !TX_FIELDS.has(at % TX_QUEUE.STRIDE)) return -1;
  return Math.floor(offset / TX_QUEUE.STRIDE);
}

const fieldsOf = ({ STRIDE: _, ...fields }: Readonly<Record<string, number>>): ReadonlySet<number> =>
  new Set(Object.values(fields));
const RX_FIELDS = fieldsOf(RX_QUEUE);
const TX_FIELDS = fieldsOf(TX_QUEUE);

/** Mailbox times 16 plus the word in its memory; -1 for what is none. */
export function mailboxWordAt(at: number): number {
  const offset = at - PF_ROW.PFMBMEM.at;
  return offset >= 0 && offset < (VFS + 1) * PF_ROW.PFMBMEM.stride ? offset >>> 2 : -1;
}

export function vectorOf(at: number): number {
  for (let vector = 0; vector < IXGBE_MSIX.PF_VECTORS; vector++) if (eitrAt(vector) === at) return vector;
  return IXGBE_MSIX.PF_VECTORS;
}

/** A word of the EEPROM, at once. */
export function readEeprom(value: number): number {
  const word = (value >>> EERD.ADDR_SHIFT) & EEPROM.ADDRESS_MASK;
  const data = word === EEPROM.CHECKSUM_WORD ? EEPROM.SUM : 0;
  return ((value & ~EERD.START & 0xffff) | EERD.DONE | (data << EERD.DATA_SHIFT)) >>> 0;
}
