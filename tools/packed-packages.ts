import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** What of a package.json is looked at here. */
interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly exports?: Readonly<Record<string, unknown>>;
  readonly bin?: Readonly<Record<string, string>>;
}

/** A package of `packages/` as the registry would get it. */
export interface PackedPackage {
  readonly name: string;
  /** Of the package in the workspace. */
  readonly folder: string;
  readonly tarball: string;
  /** What can be imported: the package's own name, and others behind it. */
  readonly entries: readonly string[];
  readonly commands: readonly string[];
}

/** The folders of `packages/` that are published. */
export function publishedFolders(): readonly string[] {
  return readdirSync(join(ROOT, 'packages'))
    .map((name) => join(ROOT, 'packages', name))
    .filter((folder) => existsSync(join(folder, 'package.json')) && manifestOf(folder).private !== true);
}

/**
 * Build the workspace and pack every package as `pnpm publish` does, with versions in place of `workspace:`.
 * @param directory for the tarballs
 */
export function packPackages(directory: string): readonly PackedPackage[] {
  mkdirSync(directory, { recursive: true });
  pnpm('exec', 'tsc', '-b');
  pnpm('-r', '--filter', './packages/*', 'pack', '--pack-destination', directory);
  return publishedFolders().map((folder) => {
    const { name, version, exports = {}, bin = {} } = manifestOf(folder);
    return {
      name,
      folder,
      tarball: join(directory, `${name.slice(1).replace('/', '-')}-${version}.tgz`),
      entries: Object.keys(exports).map((entry) => name + entry.slice(1)),
      commands: Object.keys(bin),
    };
  });
}

/** Make a project of these packages alone, outside of any workspace. @param directory that does not exist yet */
export function installPackages(directory: string, packages: readonly PackedPackage[]): void {
  mkdirSync(directory);
  const dependencies = Object.fromEntries(packages.map(({ name, tarball }) => [name, `file:${tarball}`]));
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ private: true, type: 'module', dependencies }));
  // What the packages themselves depend on comes from npm's cache where it is there.
  run(
    'npm',
    ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    directory,
  );
}

/**
 * Run a program to its end.
 * @returns what it printed
 * @throws Error, with all that it said, when its exit code is not 0
 */
export function run(program: string, args: readonly string[], cwd: string): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, {
    cwd,
    encoding: 'utf8',
    env: plainEnvironment(),
  });
  if (status === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')}: exit code ${status}\n${error ?? ''}${stdout}${stderr}`);
}

function pnpm(...args: readonly string[]): void {
  run('npx', ['-y', 'pnpm@12', ...args], ROOT);
}

/** Without what a surrounding pnpm or npm told its own children. */
function plainEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|pnpm_|NODE_OPTIONS$|VITEST)/i.test(name)),
  );
}

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
}
