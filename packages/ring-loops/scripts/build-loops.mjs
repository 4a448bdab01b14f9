// Compiles src/{device,driver}-loops.wat into src/{device,driver}-loops-wasm.ts. With --check nothing is written: the
// exit code says whether the committed bytes are those of the sources.
import { readFileSync, writeFileSync } from 'node:fs';
import wabtReady from 'wabt';

const wabt = await wabtReady();
const features = { threads: true };

for (const side of ['device', 'driver']) {
  const source = new URL(`../src/${side}-loops.wat`, import.meta.url);
  const target = new URL(`../src/${side}-loops-wasm.ts`, import.meta.url);
  const module = wabt.parseWat(`${side}-loops.wat`, readFileSync(source, 'utf8'), features);
  module.resolveNames();
  module.validate(features);
  const { buffer } = module.toBinary({ write_debug_names: false });
  module.destroy();

  const base64 = Buffer.from(buffer).toString('base64');
  const lines = base64.match(/.{1,100}/g).map((line) => `  '${line}'`);
  const text = `// Generated from ${side}-loops.wat by scripts/build-loops.mjs; a test compares the two.

/** A WebAssembly module, ${buffer.length} bytes in base64. */
export const ${side.toUpperCase()}_LOOPS_WASM: string =
${lines.join(' +\n')};
`;

  if (!process.argv.includes('--check')) writeFileSync(target, text);
  else if (readFileSync(target, 'utf8') !== text) {
    process.exitCode = 1;
    console.log(`${side}-loops-wasm.ts is not what ${side}-loops.wat compiles to`);
  }
}
