import { VDPA } from './vdpa-outcome.js';
import { refusal, type VdpaHost, type VdpaParent, type VdpaRefusal } from './vdpa-parent.js';

/** What an add-on's module exports under the name `openParent`. */
export type OpenParent = (host: VdpaHost) => VdpaParent;

/**
 * Load a vendor's add-on, an ES module that exports `openParent`.
 * @param url of the module, as `import` takes it
 * @returns the parent, or why there is none: the module is foreign, and so is whatever it throws
 */
export async function loadParent(url: string, host: VdpaHost): Promise<VdpaParent | VdpaRefusal> {
  let made: unknown;
  try {
    const { openParent: open } = (await import(/* @vite-ignore */ url)) as { readonly openParent?: unknown };
    if (typeof open !== 'function') return refusal(VDPA.INVALID, `${url} exports no function openParent`);
    made = await open(host);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refusal(VDPA.NONE, `${url} cannot be loaded: ${why}`);
  }
  const missing = missingOf(made);
  return missing === undefined ? (made as VdpaParent) : refusal(VDPA.INVALID, `the parent of ${url} has no ${missing}`);
}

/** What a parent has to have, and this one does not. */
function missingOf(made: unknown): string | undefined {
  if (!isRecord(made)) return 'parts: it is no object';
  const checks: Readonly<Record<keyof VdpaParent, (value: unknown) => boolean>> = {
    name: (value) => typeof value === 'string' && value !== '',
    classes: (value) => Array.isArray(value) && value.every(Number.isInteger),
    maxQueues: (value) => Number.isInteger(value),
    features: (value) => value instanceof Uint32Array,
    add: (value) => typeof value === 'function',
    remove: (value) => typeof value === 'function',
  };
  return Object.entries(checks).find(([field, check]) => !check(made[field]))?.[0];
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
