import { readFileSync } from 'node:fs';
import {
  bootedState,
  FALLBACK_WASM_PATH,
  guestPartsProblem,
  machineFiles as partsOf,
  WASM_PATH,
} from 'v86-example/parts';
import type { SiteFile } from '../site-file.js';

/** What the page's machines are made of, by path: from where guest-parts.sh put it, and v86's own modules. */
export function machineFiles(): readonly (readonly [path: string, file: SiteFile])[] {
  let state: Promise<ArrayBuffer> | undefined;
  const part = (read: () => ArrayBuffer | Promise<ArrayBuffer>) => async (): Promise<Uint8Array> => {
    const problem = guestPartsProblem();
    if (problem !== undefined) throw new Error(problem);
    return new Uint8Array(await read());
  };
  // A machine boots once, however many pages ask.
  const booted = (): Promise<ArrayBuffer> => {
    state ??= bootedState().catch((error: unknown) => {
      state = undefined;
      throw error;
    });
    return state;
  };
  return [
    ['/v86/state', part(booted)],
    ['/v86/bios', part(() => partsOf().bios)],
    ['/v86/vgabios', part(() => partsOf().vgaBios)],
    ['/v86/v86.wasm', () => readFileSync(WASM_PATH)],
    ['/v86/v86-fallback.wasm', () => readFileSync(FALLBACK_WASM_PATH)],
  ];
}
