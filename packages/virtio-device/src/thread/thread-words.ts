import { VirtioError } from '@ringwire/virtio-spec';

/**
 * The words that a device's thread and its host share. Everything that is passed goes by them: nothing is posted.
 * Each is accessed with Atomics, but for the mailbox's contents, which belong to one side at a time.
 */
export const WORD = {
  /** Changed by whoever wants the device's thread to look; it parks on this word. */
  WORK: 0,
  /** 1 while it is parked, or about to be. */
  PARKED: 1,
  /** Not 0: the thread is to end. */
  STOP: 2,
  /** Mailbox for register accesses: who has it, its `MAIL` state, and the access. */
  MAIL_LOCK: 3,
  MAIL: 4,
  IS_WRITE: 5,
  SPACE: 6,
  OFFSET: 7,
  BYTES: 8,
  VALUE: 9,
  /** Changed whenever messages, the level or a BAR did; hosts wait on this word. */
  EVENTS: 10,
  /** Level of the interrupt line or pin. */
  LEVEL: 11,
  /** Messages for which there was no slot. */
  MESSAGES_LOST: 12,
  /** Where notifications are written: space, offset, length in bytes, multiplier. The length is set last. */
  KICK_SPACE: 13,
  KICK_OFFSET: 14,
  KICK_LENGTH: 15,
  KICK_MULTIPLIER: 16,
  /** Two words per BAR, low and high half of its address; both -1 where it is not decoded. */
  BARS: 20,
  /** Doorbells, a bit per queue; message slots follow. */
  DOORBELLS: 32,
} as const;

export const MAIL = { IDLE: 0, ASKED: 1, ANSWERED: 2 } as const;

/** A message slot: 1 while it waits to be sent, then what is to be sent where. */
export const MESSAGE = { PENDING: 0, ADDRESS_LOW: 1, ADDRESS_HIGH: 2, DATA: 3, SIZE: 4 } as const;

export const BARS = 6;

/** What a host and a device's thread agree on; can be posted as it is. */
export interface ThreadPlace {
  readonly words: Int32Array;
  /** Queues of the device. */
  readonly queues: number;
  /** Different interrupt messages that can wait at a time; at least the MSI-X vectors. */
  readonly messages: number;
}

const doorbellWords = (queues: number): number => Math.ceil(queues / 32);

/** Index of the first message slot. */
export const messagesAt = ({ queues }: ThreadPlace): number => WORD.DOORBELLS + doorbellWords(queues);

/**
 * New words for a device.
 * @param messages different interrupt messages that can wait at a time: MSI-X vectors, or 0 for a device without
 */
export function newThreadPlace(queues: number, messages: number): ThreadPlace {
  for (const [field, value] of [
    ['queues', queues],
    ['messages', messages],
  ] as const)
    if (!Number.isInteger(value) || value < 0 || value > 0x1_0000)
      throw new VirtioError(field, value, '0 to 65536', 'newThreadPlace');
  const count = WORD.DOORBELLS + doorbellWords(queues) + messages * MESSAGE.SIZE;
  const words = new Int32Array(new SharedArrayBuffer(count * 4));
  words.fill(-1, WORD.BARS, WORD.BARS + BARS * 2);
  return { words, queues, messages };
}

/** Have the device's thread look, wherever it is. @see runDeviceThread for why no call is lost */
export function wakeDeviceThread({ words }: ThreadPlace): void {
  Atomics.add(words, WORD.WORK, 1);
  if (Atomics.load(words, WORD.PARKED) !== 0) Atomics.notify(words, WORD.WORK);
}
