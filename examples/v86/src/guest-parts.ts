import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CpioEntry, cpioArchive, DIRECTORY, LINK, PROGRAM } from './cpio.js';
import { guestInit } from './guest-shell.js';
import { LinuxMachine, type MachineFiles, type MachinePorts, NOWHERE } from './linux-machine.js';
import { loadOrder, moduleEntries } from './load-order.js';

/** Where guest-parts.sh puts a kernel, modules, a busybox and SeaBIOS; machines that have booted are kept there, too. */
const PARTS = fileURLToPath(new URL('../../../node_modules/.cache/ringwire-v86/', import.meta.url));
const V86 = createRequire(import.meta.url).resolve('v86/package.json');
/** v86's own WebAssembly module. */
export const WASM_PATH: string = join(dirname(V86), 'build/v86.wasm');
/** The one that it takes where WebAssembly has no vectors. */
export const FALLBACK_WASM_PATH: string = join(dirname(V86), 'build/v86-fallback.wasm');
/** Part of the name of a state that is kept: another one when what a guest does until it is ready is changed. */
const EDITION = 2;

/** Why there is nothing to make a machine of; undefined when there is. */
export function guestPartsProblem(): string | undefined {
  return existsSync(join(PARTS, 'vmlinuz'))
    ? undefined
    : 'there is no 32-bit kernel (examples/v86/guest-parts.sh gets one)';
}

export function machineFiles(): MachineFiles {
  return { bios: bytesOf('bios.bin'), vgaBios: bytesOf('vgabios.bin'), wasmPath: WASM_PATH };
}

/**
 * The state of a machine that has booted and loaded no driver yet: the kept one, or that of a machine which boots now.
 * @param hasOwnNic with v86's own network card beside ours
 */
export async function bootedState(hasOwnNic = false): Promise<ArrayBuffer> {
  const hash = createHash('sha256').update(`${EDITION} ${hasOwnNic}`).update(guestInit());
  // A state is for the release of v86 that it is of.
  hash.update(readFileSync(V86));
  for (const part of ['vmlinuz', 'busybox', 'bios.bin', 'vgabios.bin']) hash.update(new Uint8Array(bytesOf(part)));
  for (const { name, bytes } of modules()) hash.update(name).update(bytes);
  const kept = join(PARTS, 'booted', hash.digest('hex').slice(0, 16));
  if (existsSync(kept)) return buffer(readFileSync(kept));
  const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);
  const ports: MachinePorts = {
    msix: { port: NOWHERE, mac: mac(1) },
    pin: { port: NOWHERE, mac: mac(2) },
    hasOwnNic,
  };
  const machine = await LinuxMachine.open(machineFiles(), { kernel: bytesOf('vmlinuz'), initrd: initrd() }, ports);
  const state = await machine.save();
  await machine.close();
  mkdirSync(dirname(kept), { recursive: true });
  // Whole or not at all: another process may look for it.
  const unfinished = `${kept}.${process.pid}`;
  writeFileSync(unfinished, new Uint8Array(state));
  renameSync(unfinished, kept);
  return state;
}

function initrd(): ArrayBuffer {
  const entries: CpioEntry[] = [
    ...['bin', 'dev', 'modules', 'proc', 'sys', 'tmp'].map((path) => ({ path, mode: DIRECTORY })),
    { path: 'bin/busybox', mode: PROGRAM, bytes: readFileSync(join(PARTS, 'busybox')) },
    { path: 'bin/sh', mode: LINK, bytes: Buffer.from('busybox') },
    { path: 'init', mode: PROGRAM, bytes: Buffer.from(guestInit()) },
    ...moduleEntries(modules()),
  ];
  return buffer(cpioArchive(entries));
}

/** All that there are. */
function modules(): ReturnType<typeof loadOrder> {
  const folder = join(PARTS, 'modules');
  const files = readdirSync(folder).sort();
  return loadOrder(
    folder,
    files.map((file) => file.slice(0, -'.ko'.length)),
  );
}

const bytesOf = (part: string): ArrayBuffer => buffer(readFileSync(join(PARTS, part)));

/** A buffer of its own: v86 takes whole ones. */
function buffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}
