import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CpioEntry, cpioArchive, DIRECTORY, LINK, PROGRAM } from '../../examples/v86/src/cpio.js';
import { guestInit, LOAD_MODULES } from '../../examples/v86/src/guest-shell.js';
import { loadOrder, moduleEntries } from '../../examples/v86/src/load-order.js';

/** Where `guest-parts.sh` puts a kernel, its modules and a busybox. */
const PARTS = fileURLToPath(new URL('../../node_modules/.cache/ringwire-guest/', import.meta.url));
/** Where `guest-parts.sh vduse` puts a kernel with VDUSE and its modules. */
export const VDUSE_PARTS: string = fileURLToPath(
  new URL('../../node_modules/.cache/ringwire-guest-vduse/', import.meta.url),
);
/** Its busybox runs on this machine too. */
export const BUSYBOX: string = join(PARTS, 'busybox');
/** What a guest loads, with all that these depend on. */
const MODULES = ['virtio_pci', 'virtio_net'] as const;

/** What a guest has besides busybox and virtio-net. */
export interface ImageOptions {
  /** The modules that it loads, by name. */
  readonly modules?: readonly string[];
  /** Where its kernel and modules are. */
  readonly parts?: string;
  /** Files, behind the directories that they are in. */
  readonly files?: readonly CpioEntry[];
}

/** A kernel and a file system in memory. */
export interface GuestImage {
  readonly kernel: string;
  readonly initrd: string;
}

/** Why there is nothing to make a guest of; undefined when there is. */
export function guestPartsProblem(parts = PARTS): string | undefined {
  if (!existsSync(join(PARTS, 'vmlinuz'))) return 'there is no kernel for guests (e2e/guest-parts.sh gets one)';
  if (existsSync(join(parts, 'vmlinuz'))) return undefined;
  return 'there is no kernel with VDUSE for guests (e2e/guest-parts.sh vduse gets one)';
}

/** Make what guests boot from in a directory of the caller's. */
export function makeGuestImage(
  directory: string,
  { modules: names = MODULES, parts = PARTS, files = [] }: ImageOptions = {},
): GuestImage {
  const initrd = join(directory, 'initrd');
  const entries: CpioEntry[] = [
    ...['bin', 'dev', 'modules', 'proc', 'sys', 'tmp'].map((path) => ({ path, mode: DIRECTORY })),
    { path: 'bin/busybox', mode: PROGRAM, bytes: readFileSync(BUSYBOX) },
    { path: 'bin/sh', mode: LINK, bytes: Buffer.from('busybox') },
    { path: 'init', mode: PROGRAM, bytes: Buffer.from(guestInit(`${LOAD_MODULES}\n`)) },
    ...moduleEntries(loadOrder(join(parts, 'modules'), names)),
    ...files,
  ];
  writeFileSync(initrd, cpioArchive(entries));
  return { kernel: join(parts, 'vmlinuz'), initrd };
}
