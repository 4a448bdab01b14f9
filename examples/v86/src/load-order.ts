import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CpioEntry, PROGRAM } from './cpio.js';

/** A module of a guest's kernel. */
interface KernelModule {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Modules behind those that they depend on, by their own word. What is no module is part of the kernel.
 * @param folder of `NAME.ko` files
 */
export function loadOrder(folder: string, names: readonly string[]): readonly KernelModule[] {
  const order: KernelModule[] = [];
  const add = (name: string): void => {
    const path = join(folder, `${name}.ko`);
    if (order.some((module) => module.name === name) || !existsSync(path)) return;
    const bytes = readFileSync(path);
    const depends = /\0depends=([^\0]*)\0/.exec(bytes.toString('latin1'))?.[1] ?? '';
    for (const other of depends.split(',').filter(Boolean)) add(other);
    order.push({ name, bytes });
  };
  for (const name of names) add(name);
  return order;
}

/** Modules in a guest's file system, as its shell's `LOAD_MODULES` finds them. */
export const moduleEntries = (modules: readonly KernelModule[]): readonly CpioEntry[] => [
  { path: 'modules/order', mode: PROGRAM, bytes: Buffer.from(modules.map(({ name }) => `${name}\n`).join('')) },
  ...modules.map(({ name, bytes }) => ({ path: `modules/${name}.ko`, mode: PROGRAM, bytes })),
];
