import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';

const LSPCI = 'lspci';

/** Why a test is skipped where there is no oracle. */
export const WITHOUT_LSPCI = 'skipped, because lspci (Debian: pciutils) is not installed';

/** What `lspci -n` with these options makes of a dump; undefined where it is not installed. */
export function lspci(dump: string, ...options: readonly string[]): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'ringwire-lspci-'));
  const file = join(folder, 'dump');
  writeFileSync(file, dump);
  const { error, status, stdout } = spawnSync(LSPCI, ['-F', file, '-n', ...options], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') return undefined;
  expect(status).toBe(0);
  return stdout;
}
