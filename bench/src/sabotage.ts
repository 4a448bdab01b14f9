import type { HostMemory } from '@ringwire/guest-memory';
import { frameByte } from './driver-side.js';
import type { Sabotage } from './worker-job.js';

/** One bit of one frame's last bytes, damaged behind the driver's back before anything is sent. */
export function sabotageMemory(sabotage: Sabotage | undefined, memory: HostMemory): void {
  if (sabotage === 'damaged') memory.u8[frameByte(100, 41)]! ^= 0x10;
}

/** A number left out is a frame that the device never sees, a number given again one that it sees twice. */
export function sabotageNumbers(sabotage: Sabotage | undefined, side: { next: number }): void {
  if (sabotage === 'lost') side.next = (side.next + 1) | 0;
  if (sabotage === 'repeated') side.next = (side.next - 1) | 0;
}
