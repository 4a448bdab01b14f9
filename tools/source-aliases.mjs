// Where the sources of the packages' entries are, for whoever runs or bundles sources rather than what was built of them.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
/** Where packages are that others import. */
const HOMES = ['packages', 'examples'];

/**
 * The source file of each entry of each package, by the name under which it is imported; longer names first.
 * @returns {Record<string, string>}
 */
export function sourceAliases() {
  const folders = HOMES.flatMap((home) =>
    readdirSync(new URL(home, root), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => `${home}/${name}`),
  );
  const entries = folders.flatMap((folder) => {
    const { name, exports = {} } = JSON.parse(readFileSync(new URL(`${folder}/package.json`, root), 'utf8'));
    return Object.entries(exports).map(([entry, { default: built }]) => {
      const source = built.replace('./dist/', 'src/').replace(/\.js$/, '.ts');
      return [name + entry.slice(1), fileURLToPath(new URL(`${folder}/${source}`, root))];
    });
  });
  // A package's own name is a prefix of its other entries' names.
  return Object.fromEntries(entries.sort(([a], [b]) => b.length - a.length));
}
