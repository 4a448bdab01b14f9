// Where the sources of the packages' entries are, for whoever runs or bundles sources rather than what was built of them.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const packages = new URL('../packages/', import.meta.url);

/**
 * The source file of each entry of each package, by the name under which it is imported; longer names first.
 * @returns {Record<string, string>}
 */
export function sourceAliases() {
  const entries = readdirSync(packages).flatMap((folder) => {
    const { name, exports = {} } = JSON.parse(readFileSync(new URL(`${folder}/package.json`, packages), 'utf8'));
    return Object.entries(exports).map(([entry, { default: built }]) => {
      const source = built.replace('./dist/', 'src/').replace(/\.js$/, '.ts');
      return [name + entry.slice(1), fileURLToPath(new URL(`${folder}/${source}`, packages))];
    });
  });
  // A package's own name is a prefix of its other entries' names.
  return Object.fromEntries(entries.sort(([a], [b]) => b.length - a.length));
}
