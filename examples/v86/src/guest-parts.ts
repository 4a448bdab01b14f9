import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type CpioEntry, cpioArchive, DIRECTORY, LINK, PROGRAM } from './cpio.js';
import { guestInit } from './guest-shell.js';
import { LinuxMachine, type MachineFiles, type MachinePorts, NOWHERE } from './linux-machine.js';

/** Where guest-parts.sh puts a kernel, modules, a busybox and SeaBIOS; machines that have booted are kept there, too. */
const PARTS = fileURLToPath(new URL('../../../node_modules/.cache/ringwire-v86/', import.meta.url));
const V86 = createRequire(import.meta.url).resolve('v86/package.json');
/** Part of the name of a state that is kept: another one when what a guest does until it is ready is changed. */
const EDITION = 1;

/** Why there is nothing to make a machine of; undefined when there is. */
export function guestPartsProblem(): string | undefined {
  return existsSync(join(PARTS, 'vmlinuz'))
    ? undefined
    : 'there is no 32-bit kernel (examples/v86/guest-parts.sh gets one)';
}

export function machineFiles(): MachineFiles {
  return { bios: bytesOf('bios.bin'), vgaBios: bytesOf('vgabios.bin'), wasmPath: join(dirname(V86), 'build/v86.wasm') };
}

/**
 * The state of a machine that has booted and loaded no driver yet: the kept one, or that of a machine which boots now.
 * @param hasOwnNic with v86's own network card beside ours
 */
export async function bootedState(hasOwnNic = false): Promise<ArrayBuffer> {
  const parts = ['vmlinuz', 'busybox', 'bios.bin', 'vgabios.bin', ...moduleNames()];
  const hash = createHash('sha256').update(`${EDITION} ${hasOwnNic}`).update(guestInit());
  // A state is for the release of v86 that it is of.
  hash.update(readFileSync(V86));
  for (const part of parts) hash.update(part).update(new Uint8Array(bytesOf(part)));
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
  const modules = moduleNames();
  const order = modules.map((path) => `${path.slice('modules/'.length, -'.ko'.length)}\n`).join('');
  const entries: CpioEntry[] = [
    ...['bin', 'dev', 'modules', 'proc', 'sys', 'tmp'].map((path) => ({ path, mode: DIRECTORY })),
    { path: 'bin/busybox', mode: PROGRAM, bytes: readFileSync(join(PARTS, 'busybox')) },
    { path: 'bin/sh', mode: LINK, bytes: Buffer.from('busybox') },
    { path: 'init', mode: PROGRAM, bytes: Buffer.from(guestInit()) },
    { path: 'modules/order', mode: PROGRAM, bytes: Buffer.from(order) },
    ...modules.map((path) => ({ path, mode: PROGRAM, bytes: readFileSync(join(PARTS, path)) })),
  ];
  return buffer(cpioArchive(entries));
}

/** Modules behind those that they depend on, by their own word. */
function moduleNames(): string[] {
  const all = readdirSync(join(PARTS, 'modules')).sort();
  const order: string[] = [];
  const add = (file: string): void => {
    if (order.includes(file) || !all.includes(file)) return;
    const bytes = readFileSync(join(PARTS, 'modules', file)).toString('latin1');
    const depends = /\0depends=([^\0]*)\0/.exec(bytes)?.[1] ?? '';
    for (const name of depends.split(',').filter(Boolean)) add(`${name}.ko`);
    order.push(file);
  };
  for (const file of all) add(file);
  return order.map((file) => `modules/${file}`);
}

const bytesOf = (part: string): ArrayBuffer => buffer(readFileSync(join(PARTS, part)));

/** A buffer of its own: v86 takes whole ones. */
function buffer(bytes: Uint8Array): ArrayBuffer {
  return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
}
