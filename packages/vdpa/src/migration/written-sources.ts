import type { DirtyLog } from '@ringwire/iommu';
import { VirtioError } from '@ringwire/virtio-spec';
import type { HostRange } from '../vdpa-device.js';
import { type GuestPages, PAGE_BYTES } from './guest-pages.js';

/**
 * Somebody else who writes a guest's memory while it is copied: its processors, or another process.
 * @returns what may have been written since it was asked last, in whole pages
 */
export type WrittenSource = () => readonly HostRange[];

const PAGES_PER_BYTE = 8;

/**
 * Writes in a log of vhost's layout, which another process may have: pages beyond the guest's RAM are left out.
 * @param bytes of the log
 * @throws VirtioError for a log that is smaller than the RAM: pages at its end would be lost
 */
export function loggedWrites(log: DirtyLog, bytes: number, ram: GuestPages): WrittenSource {
  const last = ram.regions.at(-1);
  const wanted = last === undefined ? 0 : Math.ceil((last.gpa + last.size) / PAGE_BYTES / PAGES_PER_BYTE);
  if (bytes < wanted) throw new VirtioError('bytes', bytes, `${wanted} at least, for all of the RAM`, 'loggedWrites');
  return () =>
    log.take().flatMap((gpa) => {
      const host = ram.hostAt(gpa, PAGE_BYTES);
      return host < 0 ? [] : [{ host, bytes: PAGE_BYTES }];
    });
}

/**
 * Writes of whoever tells nobody, found by comparing: the guest's processors, where nothing traps them. All of the RAM is kept once
 * more, and read whenever this is asked.
 */
export function comparedWrites(ram: GuestPages): WrittenSource {
  const { u32 } = ram.memory;
  const words = PAGE_BYTES / 4;
  const kept = new Uint32Array(ram.count * words);
  const compare = (page: number): boolean => {
    const from = ram.hostOf(page) >>> 2;
    const at = page * words;
    for (let word = 0; word < words; word++) {
      if (u32[from + word] === kept[at + word]) continue;
      kept.set(u32.subarray(from, from + words), at);
      return true;
    }
    return false;
  };
  for (let page = 0; page < ram.count; page++) compare(page);
  return () => {
    const ranges: HostRange[] = [];
    for (let page = 0; page < ram.count; page++)
      if (compare(page)) ranges.push({ host: ram.hostOf(page), bytes: PAGE_BYTES });
    return ranges;
  };
}
