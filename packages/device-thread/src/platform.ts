/** ms since the platform started; never goes back. */
export const milliseconds = (): number => performance.now();

/** `Atomics.waitAsync`, where there is one: younger than ES2023. */
type WaitAsync = (
  words: Int32Array,
  index: number,
  value: number,
  timeoutMs?: number,
) => { readonly async: boolean; readonly value: unknown };

export const waitAsync: WaitAsync | undefined = (Atomics as { waitAsync?: WaitAsync }).waitAsync;

/**
 * Sleep while a word has a value; on a thread that may not sleep, such as a browser's main one, look again and again.
 * @returns whether it has another value; false when the time is up
 */
export function sleepWhile(words: Int32Array, index: number, value: number, limitMs: number): boolean {
  try {
    return Atomics.wait(words, index, value, limitMs) !== 'timed-out';
  } catch {
    const end = milliseconds() + limitMs;
    while (Atomics.load(words, index) === value) if (milliseconds() >= end) return false;
    return true;
  }
}
