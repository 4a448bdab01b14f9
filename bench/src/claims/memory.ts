import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Claim } from './claim.js';
import type { MemoryReport } from './memory-process.js';

/** Built code, also when a test runs the sources. */
const PROGRAM = fileURLToPath(new URL('../../dist/claims/memory-process.js', import.meta.url));
const MEGABYTE = 1e6;
const MOST_BYTES = 100 * MEGABYTE;

/** What the card of 8 guests takes beside their RAM: Node, devices, drivers, switch and translation tables. */
export const MEMORY_CLAIM: Claim = {
  name: 'claims/memory',
  claim: '8 guests with 8 queue pairs each take less than 100 MB beyond their RAM',
  isWallTime: true,
  measure: async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [PROGRAM]);
    const { guestRam, resident, own, arrived, sent } = JSON.parse(stdout) as MemoryReport;
    const beyond = (own ?? resident) - guestRam;
    const mb = (bytes: number): string => (bytes / MEGABYTE).toFixed(0);
    return {
      measured: `${mb(beyond)} MB; ${mb(resident - guestRam)} with the code of Node, which all its processes share; ${arrived} of ${sent} frames arrived`,
      holds: beyond < MOST_BYTES && arrived === sent,
    };
  },
};
