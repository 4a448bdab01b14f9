/** The platform's clock, said structurally: the packages' library is plain ES2023. */
const { performance } = globalThis as unknown as { performance: { now(): number } };

/** ms that go by. */
export const milliseconds = (): number => performance.now();
