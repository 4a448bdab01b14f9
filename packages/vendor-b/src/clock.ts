/** The platform's clock, said structurally: the packages' library is plain ES2023. */
const { performance } = globalThis as unknown as { performance: { now(): number } };

/** µs since the platform started; never goes back. */
export const monotonicMicroseconds = (): number => performance.now() * 1000;
