import { extname } from 'node:path';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { checkedInput, jsonOf, readBytes } from './input-file.js';
import { macAddress } from './nic-names.js';
import { listenAddress, QUEUES_MAX } from './option-values.js';
import { parsed } from './parsed-field.js';
import type { ServeSettings } from './serve-config.js';
import { UnusableInput } from './terminal.js';
import { uplink } from './uplink-option.js';

const Positive = z.number().int().min(1);

/** What all ports may have, and each its own. */
export const ofPort = {
  queues: Positive.max(QUEUES_MAX).optional(),
  queueSize: Positive.optional(),
  mtu: Positive.optional(),
  rings: z.enum(['both', 'split', 'packed']).optional(),
  hold: z.boolean().optional(),
  connect: z.boolean().optional(),
};

/** The same words as the options. */
export const ofServe = {
  uplinks: z.array(parsed(uplink)).optional(),
  memory: z.number().int().min(16).max(4095).optional(),
  trace: z.string().min(1).optional(),
  metrics: parsed(listenAddress).optional(),
  json: z.boolean().optional(),
  ...ofPort,
};

const ServeFile = z.strictObject({
  ...ofServe,
  ports: z
    .array(
      z
        .strictObject({
          socket: z.string().min(1).optional(),
          vduse: z.string().min(1).optional(),
          mac: parsed(macAddress).optional(),
          ...ofPort,
        })
        .refine(
          ({ socket, vduse }) => (socket === undefined) !== (vduse === undefined),
          'want socket or vduse, one of them',
        )
        .refine(
          ({ vduse, queues = 1, connect = false }) => vduse === undefined || (queues === 1 && !connect),
          'a vduse port has one pair of queues, and no socket to connect to',
        ),
    )
    .optional(),
});

/**
 * What a file says of `ringwire serve`: JSON where its name says so, and YAML otherwise.
 * @throws UnusableInput naming the file and the field or line in it
 */
export function readServeFile(path: string): ServeSettings {
  const { uplinks, ...rest } = checkedInput(path, contentOf(path, textOf(path)), ServeFile);
  return { ...rest, uplinks: uplinks?.filter((found) => found !== undefined) };
}

export const textOf = (path: string): string => new TextDecoder().decode(readBytes(path, path));

/** What a text says, before it is checked. @throws UnusableInput where it is neither */
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
