import { readFileSync } from 'node:fs';

/** A block of code in a README, which prints what its comments say. */
export interface ReadmeBlock {
  readonly code: string;
  /** What stands behind each `console.log(…); //`, in their order. */
  readonly promised: readonly string[];
}

/** The blocks of TypeScript in a README. @param readme a path or file URL */
export function readmeBlocks(readme: string | URL): readonly ReadmeBlock[] {
  return [...readFileSync(readme, 'utf8').matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => ({
    code: code!,
    promised: [...code!.matchAll(/console\.log\(.*\); \/\/ (.*)/g)].map((line) => line[1]!),
  }));
}
