import { MMIO_REGISTERS } from '@ringwire/virtio-spec';
import { monotonicMicroseconds } from '../clock.js';
import type { VirtioDevice } from '../virtio-device.js';
import type { VirtioMmio } from '../virtio-mmio.js';
import type { VirtioPci } from '../virtio-pci.js';
import { MAIL, type ThreadPlace, WORD } from './thread-words.js';

/** The spaces of register accesses: a PCI function's BARs 0 to 5 and its configuration, or MMIO registers. */
export const REGISTER_SPACE = { BAR0: 0, PCI_CONFIG: 6, MMIO: 7 } as const;

/** Where a driver writes notifications. A multiplier of 0: what is written is the queue's index. */
export interface KickPlace {
  readonly space: number;
  readonly offset: number;
  readonly length: number;
  readonly multiplier: number;
}

/** A device with its registers, whatever its transport. */
export interface ThreadedDevice {
  readonly device: VirtioDevice;
  /** Undefined where what is written may mean another queue. */
  readonly kicks: KickPlace | undefined;
  read(space: number, offset: number, bytes: number): number;
  write(space: number, offset: number, bytes: number, value: number): void;
}

export interface DeviceThreadOptions {
  /** Most chains per queue and turn; 64 unless given. */
  readonly stepBudget?: number;
  /** Turns without work before the thread parks; 2000 unless given. */
  readonly spinBudget?: number;
  /** The device's clock, in µs; the platform's unless given. */
  readonly now?: () => number;
}

export function threadedMmio(mmio: VirtioMmio): ThreadedDevice {
  const { at, bytes } = MMIO_REGISTERS.QueueNotify;
  return {
    device: mmio.device,
    kicks: { space: REGISTER_SPACE.MMIO, offset: at, length: bytes, multiplier: 0 },
    read: (_space, offset, width) => mmio.read(offset, width),
    write: (_space, offset, width, value) => mmio.write(offset, width, value),
  };
}

export function threadedPci({ device, pci, notify }: VirtioPci): ThreadedDevice {
  const { place, stride } = notify;
  return {
    device,
    // With one address for all queues, negotiation decides what is written there.
    kicks:
      multiplier === 0
        ? undefined
        : { space: place.bar, offset: place.offset, length: device.queues.length * multiplier, multiplier },
    read: (space, offset, bytes) =>
      space === REGISTER_SPACE.PCI_CONFIG ? pci.configRead(offset, bytes) : pci.barRead(space, offset, bytes),
    write: (space, offset, bytes, value) => {
      if (space === REGISTER_SPACE.PCI_CONFIG) pci.configWrite(offset, bytes, value);
      else pci.barWrite(space, offset, bytes, value);
    },
  };
}

/**
 * Run a device in this thread until its host stops it: answer register accesses, take doorbells, step. It polls while there
 * is work, and parks when there was none for a while, until the device's deadline at the latest.
 *
 * No wake-up is lost. WORK is read before anything is looked at, and the thread parks only while it still has that value:
 * who rings after the look changed it before. Who rings once the thread waits finds PARKED set, which was stored first.
 */
export function runDeviceThread(place: ThreadPlace, threaded: ThreadedDevice, options: DeviceThreadOptions = {}): void {
  const { stepBudget = 64, spinBudget = 2000, now = monotonicMicroseconds } = options;
  const { words } = place;
  const { device } = threaded;
  showKicks(words, threaded.kicks);
  let idle = 0;
  while (Atomics.load(words, WORD.STOP) === 0) {
    const seen = Atomics.load(words, WORD.WORK);
    // Doorbells first: a driver rings before it resets the device, not the other way round.
    const isAsked = takeDoorbells(place, device);
    if (answerMail(words, threaded) || device.step(stepBudget) > 0 || isAsked) idle = 0;
    else if (++idle > spinBudget) {
      park(words, seen, (device.deadline() - now()) / 1000);
      idle = 0;
    }
  }
}

function showKicks(words: Int32Array, kicks: KickPlace | undefined): void {
  if (kicks === undefined) return;
  Atomics.store(words, WORD.KICK_SPACE, kicks.space);
  Atomics.store(words, WORD.KICK_OFFSET, kicks.offset);
  Atomics.store(words, WORD.KICK_MULTIPLIER, kicks.stride);
  Atomics.store(words, WORD.KICK_LENGTH, kicks.length);
}

function takeDoorbells({ words, queues }: ThreadPlace, device: VirtioDevice): boolean {
  let taken = false;
  for (let first = 0; first < queues; first += 32) {
    const word = WORD.DOORBELLS + (first >>> 5);
    if (Atomics.load(words, word) === 0) continue;
    taken = true;
    for (let bits = Atomics.exchange(words, word, 0); bits !== 0; bits &= bits - 1)
      device.notify(first + 31 - Math.clz32(bits & -bits));
  }
  return taken;
}

function answerMail(words: Int32Array, threaded: ThreadedDevice): boolean {
  if (Atomics.load(words, WORD.MAIL) !== MAIL.ASKED) return false;
  const [space, offset, bytes] = [words[WORD.SPACE]!, words[WORD.OFFSET]! >>> 0, words[WORD.BYTES]!];
  if (words[WORD.IS_WRITE] === 0) words[WORD.VALUE] = threaded.read(space, offset, bytes);
  else threaded.write(space, offset, bytes, words[WORD.VALUE]! >>> 0);
  Atomics.store(words, WORD.MAIL, MAIL.ANSWERED);
  Atomics.notify(words, WORD.MAIL);
  return true;
}

function park(words: Int32Array, seen: number, milliseconds: number): void {
  if (milliseconds <= 0) return;
  Atomics.store(words, WORD.PARKED, 1);
  Atomics.wait(words, WORD.WORK, seen, milliseconds);
  Atomics.store(words, WORD.PARKED, 0);
}
