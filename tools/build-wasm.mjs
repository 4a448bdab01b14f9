// Compiles the src/*.wat of a package into src/*-wasm.ts beside them. With --check nothing is written: the exit code says
// whether the committed bytes are those of the sources.
//   node tools/build-wasm.mjs packages/NAME [--check]
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import wabtReady from 'wabt';

const [directory = '.', ...options] = process.argv.slice(2);
const isCheck = options.includes('--check');
const folder = join(directory, 'src');
const wabt = await wabtReady();
const features = { bulk_memory: true, simd: true, threads: true };

for (const path of readdirSync(folder, { recursive: true }).filter((each) => each.endsWith('.wat'))) {
  const file = basename(path);
  const name = file.slice(0, -'.wat'.length);
  const target = join(folder, dirname(path), `${name}-wasm.ts`);
  const module = wabt.parseWat(file, readFileSync(join(folder, path), 'utf8'), features);
  module.resolveNames();
  module.validate(features);
  const { buffer } = module.toBinary({ write_debug_names: false });
  module.destroy();

  const lines = Buffer.from(buffer)
    .toString('base64')
    .match(/.{1,100}/g)
    .map((line) => `  '${line}'`);
  const text = `// Generated from ${file} by tools/build-wasm.mjs; a test compares the two.

/** ${file} as a WebAssembly module, ${buffer.length} bytes in base64. */
export const ${name.replaceAll('-', '_').toUpperCase()}_WASM: string =
${lines.join(' +\n')};
`;

  if (!isCheck) writeFileSync(target, text);
  else if (readFileSync(target, 'utf8') !== text) {
    console.log(`${target} is not what ${file} compiles to`);
    process.exitCode = 1;
  }
}
