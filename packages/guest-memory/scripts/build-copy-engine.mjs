// Compiles src/copy-engine.wat into src/copy-engine-wasm.ts. With --check nothing is written: the exit code says
// whether the committed bytes are those of the source.
import { readFileSync, writeFileSync } from 'node:fs';
import wabtReady from 'wabt';

const source = new URL('../src/copy-engine.wat', import.meta.url);
const target = new URL('../src/copy-engine-wasm.ts', import.meta.url);

const wabt = await wabtReady();
const features = { bulk_memory: true, simd: true, threads: true };
const module = wabt.parseWat('copy-engine.wat', readFileSync(source, 'utf8'), features);
module.resolveNames();
module.validate(features);
const { buffer } = module.toBinary({ write_debug_names: false });
module.destroy();

const base64 = Buffer.from(buffer).toString('base64');
const lines = base64.match(/.{1,100}/g).map((line) => `  '${line}'`);
const text = `// Generated from copy-engine.wat by scripts/build-copy-engine.mjs; a test compares the two.

/** The copy engine's WebAssembly module, ${buffer.length} bytes in base64. */
export const COPY_ENGINE_WASM: string =
${lines.join(' +\n')};
`;

if (process.argv.includes('--check')) {
  const committed = readFileSync(target, 'utf8');
  process.exitCode = committed === text ? 0 : 1;
  console.log(committed === text ? 'up to date' : 'copy-engine-wasm.ts is not what copy-engine.wat compiles to');
} else {
  writeFileSync(target, text);
  console.log(`${buffer.length} bytes`);
}
