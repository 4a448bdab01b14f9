// pnpm run docs: the site of what all packages export, in docs/api; with --check nothing is written. Exit code 1 when an
// export has no words of its own, or when a link in the words leads nowhere.
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Application, Logger, LogLevel, ReflectionKind } from 'typedoc';

const root = new URL('../', import.meta.url);
const isCheck = process.argv.includes('--check');
// A package of commands has no exports.
const packages = readdirSync(new URL('packages/', root))
  .map((name) => fileURLToPath(new URL(`packages/${name}`, root)))
  .filter((path) => JSON.parse(readFileSync(`${path}/package.json`, 'utf8')).exports);

const app = await Application.bootstrap({
  name: 'ringwire',
  entryPointStrategy: 'packages',
  entryPoints: packages,
  readme: fileURLToPath(new URL('README.md', root)),
  includeVersion: true,
  githubPages: false,
  // One @param may speak of several parameters: while comments are read, that is no warning.
  logLevel: 'Error',
  // Of links to folders of the repository the site knows nothing.
  validation: { invalidPath: false },
  packageOptions: {
    excludePrivate: true,
    disableGit: true,
    sourceLinkTemplate: '{path}',
    // Types that no one has to name are not exported.
    validation: {
      notExported: false,
      invalidLink: true,
      invalidPath: false,
      notDocumented: false,
      rewrittenLink: false,
    },
  },
});
const project = await app.convert();
if (project === undefined) process.exit(1);

/**
 * Exports without words of their own, of a package or of one of its entries.
 * @param {import('typedoc').DeclarationReflection} module
 * @returns {string[]}
 */
function silentExports(module) {
  return (module.children ?? []).flatMap((child) => {
    if (child.kindOf(ReflectionKind.Module)) return silentExports(child);
    // Exported again from another entry: its words are there.
    if (child.kindOf(ReflectionKind.Reference)) return [];
    const isSaid = child.hasComment() || (child.signatures ?? []).some((signature) => signature.hasComment());
    return isSaid ? [] : [`${module.getFullName()}: ${child.name} (${child.sources?.[0]?.fileName})`];
  });
}

const silent = (project.children ?? []).flatMap(silentExports);
for (const name of silent) console.log(`no words: ${name}`);

const broken = [];
class LinkLogger extends Logger {
  /** @param {string} text @param {LogLevel} level */
  log(text, level) {
    if (level >= LogLevel.Warn) broken.push(text);
  }
}
app.logger = new LinkLogger();
app.validate(project);
for (const text of broken) console.log(text);

if (!isCheck) {
  const out = fileURLToPath(new URL('docs/api', root));
  await app.generateDocs(project, out);
  console.log(`the site is in ${out}`);
}
process.exitCode = silent.length + broken.length > 0 ? 1 : 0;
