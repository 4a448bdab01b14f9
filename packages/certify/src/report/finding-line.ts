import type { Finding } from '../verdict.js';

/** A finding in a line: which statement, where it stands, how binding it is, and what broke it. */
export function findingLine({ id, spec, level, gist, message, at, count }: Finding): string {
  const place = at === null ? '' : ` at ${at}`;
  const times = count === 1 ? '' : ` (${count} times)`;
  return `${id} (virtio 1.4 §${spec}): ${level} ${gist}: ${message}${place}${times}`;
}
