import { msixWords } from '@ringwire/pci';
import { VirtioError } from '@ringwire/virtio-spec';
import { SPOT_WORDS } from './parking-spot.js';

/**
 * The control block between a device's thread and all others: 32-bit words of a SharedArrayBuffer. What one side writes
 * while the other one reads something else has a cache line of its own, 16 words.
 */
const LINE = 16;

/** Life of the device's thread, in the word at `ControlLayout.state`. */
export const LIFE = {
  /** The worker is on its way; the mailbox waits for it. */
  STARTING: 0,
  RUNNING: 1,
  /** It ended of itself: exception, exit, termination. */
  DEAD: 2,
  /** Dead, and a driver's reset asks for another one. */
  WANTED: 3,
  /** To be closed; it resets the device and leaves. */
  CLOSING: 4,
  CLOSED: 5,
} as const;
/** One of {@link LIFE}. */
export type Life = (typeof LIFE)[keyof typeof LIFE];

/** In the word at `ControlLayout.asked`. */
export const ASKED = {
  NOTHING: 0,
  /** Save the device. */
  SAVE: 1,
  /** End between two steps, and leave the device as it is, for the next thread. */
  LEAVE: 2,
} as const;

/** Where a notification may be a doorbell word, rather than a register access: in the word at `ControlLayout.bell`. */
export const BELL_MODE = {
  /** Nowhere now: the device itself looks at the access. */
  REGISTERS: 0,
  /** MMIO: the value is a queue index. */
  INDEX: 1,
  /** MMIO with NOTIFICATION_DATA: its low 16 bits are. */
  DATA: 2,
  /** PCI: an address for each queue. */
  ADDRESS: 3,
} as const;

/** What the device's thread lets others know, in the lines at `ControlLayout.shown`; words from there. */
export const SHOWN = {
  /** The device status, and queues that there are. */
  STATUS: 0,
  QUEUES: 1,
  /** `BELL_MODE`, and with ADDRESS the bytes from the first queue's address to the next one's and where they begin. */
  BELL: 2,
  BELL_STRIDE: 3,
  BELL_AT: 4,
  /** MSI-X vector for configuration changes; whether MSI-X and the interrupt pin are off. */
  CONFIG_VECTOR: 5,
  MSIX_ON: 6,
  PIN_OFF: 7,
  /** BAR offset of the common configuration and of the ISR byte. */
  COMMON_AT: 8,
  ISR_AT: 9,
  /** Of the dead device: MMIO's InterruptStatus or PCI's ISR. */
  ISR: 10,
  /** Virtqueues that queue threads serve, while the device runs; 1 when a reset asks for queue threads that died. */
  PAIR_QUEUES: 11,
  LANES_WANTED: 12,
  /** Times that the thread went to sleep. */
  SLEEPS: 16,
} as const;

/** Words of one vector's slot, a line. */
export const SLOT = { SEQUENCE: 0, LOW: 1, HIGH: 2, DATA: 3, RAISED: 4, TAKEN: 8, WORDS: 16 } as const;

/** PCI configuration space as it was last, 4096 bytes. */
export const SHADOW_WORDS = 1024;

/** Indexes of words. */
export interface ControlLayout {
  readonly state: number;
  readonly shown: number;
  readonly mailbox: number;
  /** Parking spots: the device's thread, the driver's, and that of whoever looks after the thread. */
  readonly deviceSpot: number;
  readonly driverSpot: number;
  readonly ownerSpot: number;
  /** Parking spots of queue threads, one after the other. */
  readonly laneSpots: number;
  /** 1 when any doorbell was rung: a line for the device's thread and for each queue thread; a line for each doorbell. */
  readonly rung: number;
  /** What whoever looks after the thread wants of it: an `ASKED`. */
  readonly asked: number;
  readonly doorbells: number;
  readonly doorbellCount: number;
  /** 1 when any interrupt was raised; the line's level and its rises; slots of vectors. */
  readonly interrupts: number;
  readonly slots: number;
  readonly vectors: number;
  readonly msix: number;
  readonly shadow: number;
  readonly words: number;
}

/** How large a control block is to be. */
export interface ControlSize {
  /** Doorbell words, 1 to 65536; notifications of queues beyond are register accesses. */
  readonly doorbells: number;
  /** MSI-X vectors, 0 to 2048. */
  readonly vectors: number;
  /** Queue threads; none unless given. */
  readonly lanes?: number;
}

export function controlLayout({ doorbells, vectors, lanes = 0 }: ControlSize): ControlLayout {
  let end = 0;
  const put = (words: number): number => {
    const at = end;
    end += Math.ceil(words / LINE) * LINE;
    return at;
  };
  const fixed = {
    state: put(1),
    shown: put(2 * LINE),
    mailbox: put(3 * LINE),
    deviceSpot: put(SPOT_WORDS),
    driverSpot: put(SPOT_WORDS),
    ownerSpot: put(SPOT_WORDS),
    laneSpots: put(lanes * SPOT_WORDS),
    rung: put((lanes + 1) * LINE),
    asked: put(1),
    doorbells: put(doorbells * LINE),
    interrupts: put(2 * LINE),
    slots: put(vectors * SLOT.WORDS),
    msix: put(vectors === 0 ? 0 : msixWords(vectors)),
    shadow: put(SHADOW_WORDS),
  };
  return { ...fixed, doorbellCount: doorbells, vectors, words: end };
}

/** Doorbell word of a queue. */
export const doorbellAt = (layout: ControlLayout, queue: number): number => layout.doorbells + queue * LINE;

/** Word that says whether any doorbell was rung for a thread: 0 is the device's, its queue threads follow. */
export const rungAt = (layout: ControlLayout, thread: number): number => layout.rung + thread * LINE;

/** @throws VirtioError for words that are no control block of that size, or not shared */
export function checkControl(words: Int32Array, layout: ControlLayout): void {
  if (words.length < layout.words || !(words.buffer instanceof SharedArrayBuffer))
    throw new VirtioError('words', words.length, `${layout.words} of a SharedArrayBuffer`, 'DeviceLink');
}
