import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { build } from 'esbuild';

const packages = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Start a thread on the sources that a test is about.
 * @param file in this folder
 * @returns its one message, to come, and the thread
 */
export async function startThread<T>(
  file: string,
  workerData: unknown,
): Promise<{ ended: Promise<T>; worker: Worker }> {
  const { outputFiles } = await build({
    entryPoints: [`${packages}iommu/src/testing/${file}`],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'cjs',
    alias: Object.fromEntries(
      ['guest-memory', 'virtio-spec', 'virtqueue'].map((name) => [
        `@ringwire/${name}`,
        `${packages}${name}/src/index.ts`,
      ]),
    ),
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
  });
  const worker = new Worker(outputFiles[0]!.text, { eval: true, workerData });
  return {
    worker,
    ended: new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    }),
  };
}
