import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatLspciDump, type PciFunction } from '@ringwire/pci';

const LSPCI = 'lspci';

/** What `lspci -F FILE -vvv` makes of a function; undefined where it is not installed. */
export function lspci({ config }: PciFunction): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'ringwire-lspci-'));
  const file = join(folder, 'dump');
  writeFileSync(file, formatLspciDump({ bus: 0, device: 4, function: 0 }, config.bytes, 'Ethernet controller'));
  const { error, stdout } = spawnSync(LSPCI, ['-F', file, '-vvv', '-n'], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  return (error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT' ? undefined : stdout;
}
