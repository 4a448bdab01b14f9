import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { UnusableInput } from './terminal.js';

/** The content of a JSON file, checked. The message says which field of which file is wrong. */
export function readJson<T>(path: string, schema: z.ZodType<T>): T {
  const text = new TextDecoder().decode(readBytes(path, path));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new UnusableInput(`${path} is no valid JSON: ${error instanceof Error ? error.message : error}`);
  }
  return checkedInput(path, json, schema);
}

/** What a file has, checked by a schema. @throws UnusableInput naming the field */
export function checkedInput<T>(path: string, content: unknown, schema: z.ZodType<T>): T {
  const result = schema.safeParse(content);
  if (result.success) return result.data;
  const { path: keys, message } = result.error.issues[0]!;
  const field = keys
    .map((key, i) => (typeof key === 'number' ? `[${key}]` : `${i === 0 ? '' : '.'}${String(key)}`))
    .join('');
  throw new UnusableInput(`${path}: ${field === '' ? '' : `${field}: `}${message}`);
}

/** @param source a path, or 0 for stdin */
export function readBytes(source: string | 0, path: string): Uint8Array {
  try {
    return readFileSync(source);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new UnusableInput(`${path} cannot be read: ${code === 'ENOENT' ? 'no such file' : (code ?? error)}`);
  }
}
