/** One entry of an archive; a link's bytes are the path that it leads to. */
export interface CpioEntry {
  readonly path: string;
  /** File type and permissions, as stat(2) has them. */
  readonly mode: number;
  readonly bytes?: Uint8Array;
}

/** Modes of what a guest's file system has. */
export const DIRECTORY = 0o040755;
export const PROGRAM = 0o100755;
export const LINK = 0o120777;

const MAGIC = '070701';
const TRAILER = 'TRAILER!!!';

/** An archive in the format that Linux unpacks at boot: initramfs buffer format, "newc". Entries keep their order. */
export function cpioArchive(entries: readonly CpioEntry[]): Uint8Array {
  const all = [...entries, { path: TRAILER, mode: 0 }];
  return Buffer.concat(all.flatMap((entry, index) => parts(entry, index + 1)));
}

/** Header, name and bytes, each padded to words. */
function parts({ path, mode, bytes = new Uint8Array(0) }: CpioEntry, ino: number): Uint8Array[] {
  const name = `${path}\0`;
  // ino, mode, uid, gid, nlink, mtime, filesize, dev and rdev (major, minor), namesize, check
  const fields = [ino, mode, 0, 0, 1, 0, bytes.length, 0, 0, 0, 0, name.length, 0];
  const header = MAGIC + fields.map((field) => field.toString(16).padStart(8, '0')).join('') + name;
  return [padded(Buffer.from(header, 'latin1')), padded(bytes)];
}

function padded(bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
  whole.set(bytes);
  return whole;
}
