import { z } from 'zod';
import type { DriverModule, DriverRefusal, GuestDriver, OpenDriver } from './driver-module.js';

const method = z.custom<(...args: never[]) => unknown>((value) => typeof value === 'function', 'want a function');

const ModuleSchema = z.object({
  openDriver: method,
  name: z.string().min(1).optional(),
});

const MAC_BYTES = 6;

const DriverSchema = z.object({
  mac: z
    .instanceof(Uint8Array, { error: 'want a Uint8Array of 6 bytes' })
    .refine(({ length }) => length === MAC_BYTES, {
      error: 'want 6 bytes',
    }),
  transmit: method,
  poll: method,
  stop: method,
  flush: method.optional(),
  interrupt: method.optional(),
  watch: method.optional(),
  suspend: method.optional(),
  resume: method.optional(),
  restart: method.optional(),
});

const RefusalSchema = z.object({ refused: z.string() });

/** Why a module is no driver's. */
export interface ModuleRefusal {
  readonly message: string;
}

/** Tells a module that cannot be used from one that can. */
export const isModuleRefusal = (loaded: DriverModule | ModuleRefusal): loaded is ModuleRefusal => 'message' in loaded;

/**
 * Load a driver, an ES module that exports `openDriver`, and `name` if it likes.
 * @param url of the module, as `import` takes it
 * @returns the driver, or why there is none: the module is foreign, and so is whatever it throws
 */
export async function loadDriver(url: string): Promise<DriverModule | ModuleRefusal> {
  let loaded: unknown;
  try {
    loaded = await import(/* @vite-ignore */ url);
  } catch (error) {
    return { message: `${url} cannot be loaded: ${error instanceof Error ? error.message : String(error)}` };
  }
  const parsed = ModuleSchema.safeParse({ ...(loaded as object) });
  if (!parsed.success) return { message: `${url} is no driver: ${wrongIn(parsed.error)}` };
  const { name = url, openDriver } = parsed.data;
  return { name, openDriver: openDriver as OpenDriver };
}

/** @returns what is missing of what `openDriver` returned, or undefined for a driver or a refusal */
export function driverProblem(made: unknown): string | undefined {
  if (RefusalSchema.safeParse(made).success) return undefined;
  const fields = Object.keys(DriverSchema.shape);
  if (typeof made !== 'object' || made === null) return `openDriver returned ${String(made)}, want a driver`;
  // Methods may be those of a class.
  const parsed = DriverSchema.safeParse(Object.fromEntries(fields.map((field) => [field, Reflect.get(made, field)])));
  return parsed.success ? undefined : `openDriver returned what is no driver: ${wrongIn(parsed.error)}`;
}

/** Tells a refusal from a driver. */
export const isDriverRefusal = (made: GuestDriver | DriverRefusal): made is DriverRefusal => 'refused' in made;

const wrongIn = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ');
