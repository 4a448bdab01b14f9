import { readlinkSync } from 'node:fs';
import { setNonBlocking } from '@ringwire/linux';

const EVENT_FILE = 'anon_inode:[eventfd]';

/**
 * Take the one descriptor of a message, an event that never blocks whoever uses it.
 * @param what  names it in a refusal
 * @returns the descriptor, out of `fds` then, or why there is none
 */
export function takeEventFile(what: string, fds: number[]): number | string {
  const [fd] = fds;
  if (fd === undefined) return 'no descriptor';
  if (readlinkSync(`/proc/self/fd/${fd}`) !== EVENT_FILE) return `${what} is no event descriptor`;
  setNonBlocking(fd);
  fds.length = 0;
  return fd;
}
