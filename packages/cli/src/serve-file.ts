import { extname } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { checkedInput, jsonOf, readBytes } from './input-file.js';
import { listenAddress, QUEUES_MAX } from './option-values.js';
import type { ServeSettings } from './serve-config.js';
import { UnusableInput } from './terminal.js';
import { uplink } from './uplink-option.js';

const Positive = z.number().int().min(1);

/** Text that an option's parser takes. */
export function parsed<T>(parse: (text: string) => T): z.ZodType<T> {
  // YAML has a port alone as a number.
  return z.union([z.string(), z.number()]).transform((value, context) => {
    try {
      return parse(String(value));
    } catch (error) {
      if (!(error instanceof InvalidArgumentError)) throw error;
      context.addIssue({ code: 'custom', message: error.message });
      return z.NEVER;
    }
  });
}

export function macAddress(text: string): Uint8Array {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text))
    throw new InvalidArgumentError('Want an address such as 02:00:00:00:00:01.');
  return Uint8Array.from(text.split(':'), (byte) => Number.parseInt(byte, 16));
}

const ofPort = {
  queues: Positive.max(QUEUES_MAX).optional(),
  queueSize: Positive.optional(),
  mtu: Positive.optional(),
  rings: z.enum(['both', 'split', 'packed']).optional(),
  hold: z.boolean().optional(),
  connect: z.boolean().optional(),
};

/** The same words as the options, and for each port its own. */
const ServeFile = z.strictObject({
  ports: z
    .array(z.strictObject({ socket: z.string().min(1), mac: parsed(macAddress).optional(), ...ofPort }))
    .optional(),
  uplinks: z.array(parsed(uplink)).optional(),
  memory: z.number().int().min(16).max(4095).optional(),
  trace: z.string().min(1).optional(),
  metrics: parsed(listenAddress).optional(),
  json: z.boolean().optional(),
  ...ofPort,
});

/**
 * What a file says of `ringwire serve`: JSON where its name says so, and YAML otherwise.
 * @throws UnusableInput naming the file and the field or line in it
 */
export function readServeFile(path: string): ServeSettings {
  const text = new TextDecoder().decode(readBytes(path, path));
  const { uplinks, ...rest } = checkedInput(path, contentOf(path, text), ServeFile);
  return { ...rest, uplinks: uplinks?.filter((found) => found !== undefined) };
}

/** What is in a file: JSON where its name says so, and YAML otherwise. @throws UnusableInput where it is neither */
export function contentOf(path: string, text: string): unknown {
  if (extname(path) === '.json') return jsonOf(path, text);
  const invalid = (message: string): UnusableInput => new UnusableInput(`${path} is no valid YAML: ${message}`);
  try {
    const document = parseDocument(text);
    const [problem] = document.errors;
    if (problem !== undefined) throw invalid(problem.message.split('\n')[0]!.replace(/:$/, ''));
    return document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    if (error instanceof UnusableInput) throw error;
    // Aliases without a target, or as many as a bomb has; nested deeper than the parser's stack.
    throw invalid(error instanceof Error ? error.message : String(error));
  }
}
