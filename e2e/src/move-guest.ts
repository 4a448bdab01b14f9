import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { LinuxGuest } from './linux-guest.js';
import { Qmp } from './qmp.js';

const POLL_MS = 100;

/**
 * Send a running guest to the one that waits for it at a socket.
 * @throws Error with QEMU's words when it does not go
 */
export async function moveGuest(from: LinuxGuest, path: string): Promise<void> {
  while (!existsSync(path)) await sleep(POLL_MS);
  const qmp = await Qmp.connect(from.qmp);
  await qmp.command('migrate', { uri: `unix:${path}` });
  for (;;) {
    const answer = (await qmp.command('query-migrate')) as { status: string; 'error-desc'?: string };
    if (answer.status === 'completed') return;
    if (answer.status === 'failed') throw new Error(`QEMU says: ${answer['error-desc']}`);
    await sleep(POLL_MS);
  }
}
