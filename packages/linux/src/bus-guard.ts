import koffi from 'koffi';
import { handlerCode } from './bus-handler.js';
import { makeExecutable, mapAnonymous, setSignalHandler } from './libc.js';

/** Parts of memory that can be watched at a time, by one thread. */
const WATCHES_MAX = 2048;
const WATCH_BYTES = 32;
/** The handler's own memory: code in the first page, data behind it. Bytes. */
const DATA_AT = 4096;
const WATCHES_AT = 64;
const BYTES = DATA_AT + WATCHES_AT + WATCHES_MAX * WATCH_BYTES;
/** 64-bit words of the data. */
const WORD = { previous: 0, hits: 1, noAction: 2, watches: WATCHES_AT / 8 } as const;
/** 64-bit words of a watch. */
const WATCH = { start: 0, end: 1, hits: 2, WORDS: WATCH_BYTES / 8 } as const;

const SIGBUS = 7;

/**
 * Survives files that are cut short while they are mapped: whoever touches what is gone gets SIGBUS, which otherwise ends
 * the process. In a watched part of memory the handler puts zeros in place of the whole part, and notes it. Other faults
 * go to the handler that was there before. The handler and its memory stay until the process ends.
 */
export class BusGuard {
  private static guard: BusGuard | undefined;

  private readonly words: BigUint64Array;
  private readonly hitWord: Int32Array;
  private readonly free: number[] = Array.from({ length: WATCHES_MAX }, (_, n) => WATCHES_MAX - 1 - n);

  /**
   * This thread's guard, which is made when it is first asked for.
   * @returns undefined on other machines than x86-64, for which there is no handler
   * @throws SystemError where no memory may hold code
   */
  static get(): BusGuard | undefined {
    if (process.arch !== 'x64') return undefined;
    BusGuard.guard ??= new BusGuard();
    return BusGuard.guard;
  }

  private constructor() {
    const address = mapAnonymous(BYTES);
    const memory = koffi.view(BigInt(address), BYTES);
    this.words = new BigUint64Array(memory, DATA_AT);
    this.hitWord = new Int32Array(memory, DATA_AT + 8 * WORD.hits, 1);
    const at = (word: number): number => address + DATA_AT + 8 * word;
    const code = handlerCode({
      previous: at(WORD.previous),
      hits: at(WORD.hits),
      noAction: at(WORD.noAction),
      watches: at(WORD.watches),
      count: WATCHES_MAX,
    });
    new Uint8Array(memory).set(code);
    makeExecutable(address, DATA_AT);
    // A fault between the two has nobody before it yet, and ends the process as it would have anyway.
    this.words[WORD.previous] = BigInt(setSignalHandler(SIGBUS, address));
  }

  /** Parts that were cut since the process began: a change says that {@link wasCut} is worth asking. */
  get cuts(): number {
    return Atomics.load(this.hitWord, 0);
  }

  /**
   * Watch a part of memory, of whole pages that may be mapped anew.
   * @returns what names the watch, or undefined when there are too many
   */
  watch(address: number, bytes: number): number | undefined {
    const watch = this.free.pop();
    if (watch === undefined) return undefined;
    const word = wordOf(watch);
    this.words[word + WATCH.hits] = 0n;
    this.words[word + WATCH.start] = BigInt(address);
    // The end last: until it is there no address lies before it.
    Atomics.store(this.words, word + WATCH.end, BigInt(address + bytes));
    return watch;
  }

  /** Whether the part was touched where its file had been cut: it has shown zeros since, and no file. */
  wasCut(watch: number): boolean {
    return this.words[wordOf(watch) + WATCH.hits] !== 0n;
  }

  unwatch(watch: number): void {
    Atomics.store(this.words, wordOf(watch) + WATCH.end, 0n);
    this.free.push(watch);
  }
}

function wordOf(watch: number): number {
  return WORD.watches + watch * WATCH.WORDS;
}
