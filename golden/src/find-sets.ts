import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Every folder at or below `root` that holds an `expected.json`, in order of their names. */
export function findSets(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((path) => path === 'expected.json' || /[/\\]expected\.json$/.test(path))
    .map((path) => join(root, path, '..'))
    .sort();
}
