import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { addressOf, formatLspciDump } from '@ringwire/pci';
import { expect, test } from 'vitest';
import { IxgbeStage } from './testing/ixgbe-stage.js';

const LSPCI = 'lspci';

test('lspci reads the card as it was meant', (context) => {
  const stage = new IxgbeStage();
  stage.enable(2);
  const folder = mkdtempSync(join(tmpdir(), 'ringwire-lspci-'));
  const dump = [...stage.machine.functions()].map(({ pci, routingId }) =>
    formatLspciDump(addressOf(routingId), pci.config.bytes),
  );
  writeFileSync(join(folder, 'dump'), dump.join(''));
  const { error, stdout } = spawnSync(LSPCI, ['-F', join(folder, 'dump'), '-vvv', '-n'], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    return context.skip('skipped, because lspci (Debian: pciutils) is not installed');
  const blocks = stdout.trimEnd().split('\n\n');
  expect(blocks.map((block) => block.split('\n')[0])).toEqual([
    '00:01.0 0604: 1b36:000c (prog-if 00 [Normal decode])',
    '01:00.0 0200: 8086:10fb (rev 01)',
    '01:10.0 0200: ffff:ffff (rev 01)',
    '01:10.2 0200: ffff:ffff (rev 01)',
  ]);
  for (const line of [
    'MSI-X: Enable+ Count=64 Masked-',
    'Vector table: BAR=4 offset=00000000',
    'PBA: BAR=4 offset=00002000',
    'LnkCap:	Port #0, Speed 5GT/s, Width x8',
    'Initial VFs: 8, Total VFs: 8, Number of VFs: 2, Function Dependency Link: 00',
    'VF offset: 128, stride: 2, Device ID: 10ed',
    'Alternative Routing-ID Interpretation (ARI)',
  ])
    expect(blocks[1]).toContain(line);
  expect(blocks[2]).toContain('MSI-X: Enable+ Count=3 Masked-');
  expect(blocks[2]).toContain('Vector table: BAR=3 offset=00000000');
});
