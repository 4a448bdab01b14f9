import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { formatRecording } from '../../examples/mmio-host/src/recording.js';
import { replay } from '../../examples/mmio-host/src/replay.js';
import { guestProblem, PATIENCE_MS } from './linux-guest.js';
import { recordGuest } from './mmio-guest.js';

const KEPT = fileURLToPath(new URL('../../examples/mmio-host/data/linux-6.1-net.txt', import.meta.url));
const COMMENT = [
  'Linux 6.1 (Debian 12) in QEMU 7.2, -M microvm with virtio-net-device, without a control queue: every access to its',
  'virtio-mmio registers from the probe on, and its rings and what it sent when it was stopped.',
  'Made by RINGWIRE_RECORD=1 vitest run e2e/src/mmio-guest.test.ts.',
];
const problem = guestProblem();
const { RINGWIRE_RECORD } = process.env;

test('what a Linux guest does to a virtio-mmio device of QEMU, just now, it can do to ours', {
  timeout: PATIENCE_MS,
}, async ({ skip }) => {
  if (problem !== undefined) return skip(`skipped, because ${problem}`);
  const directory = mkdtempSync(join(tmpdir(), 'ringwire-mmio-'));
  try {
    const recording = await recordGuest(directory);
    const { differences, queueSizes, status, sent, received } = replay(recording);
    expect({ differences, queueSizes, status }).toEqual({ differences: [], queueSizes: [1024, 1024], status: 15 });
    expect([sent.length, received.length]).toEqual([1, 1]);
    if (RINGWIRE_RECORD === '1') writeFileSync(KEPT, formatRecording(recording, COMMENT));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
