import type { Shown, ShownSection } from './vdpa-show.js';

const INDENT = '    ';

/**
 * A section as `vdpa -j` prints it, byte for byte, and with `pretty` as `vdpa -jp` does: four blanks for each level, arrays in
 * one line. Without the line feed behind it.
 */
export function vdpaJson(section: ShownSection, pretty: boolean): string {
  return object(section, 0, pretty);
}

type Value = ShownSection[string] | Shown | Shown[string];

function object(fields: Readonly<Record<string, Value>>, depth: number, pretty: boolean): string {
  const entries = Object.entries(fields);
  if (entries.length === 0) return '{}';
  const line = pretty ? `\n${INDENT.repeat(depth + 1)}` : '';
  const end = pretty ? `\n${INDENT.repeat(depth)}` : '';
  const colon = pretty ? ': ' : ':';
  const lines = entries.map(([key, value]) => `${line}${JSON.stringify(key)}${colon}${text(value, depth + 1, pretty)}`);
  return `{${lines.join(',')}${end}}`;
}

function text(value: Value, depth: number, pretty: boolean): string {
  if (Array.isArray(value)) {
    const items = value.map((item) => JSON.stringify(item)).join(',');
    if (!pretty) return `[${items}]`;
    return items === '' ? '[ ]' : `[ ${items} ]`;
  }
  if (typeof value === 'object') return object(value as Readonly<Record<string, Value>>, depth, pretty);
  return JSON.stringify(value);
}
