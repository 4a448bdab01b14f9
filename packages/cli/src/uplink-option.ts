import { InvalidArgumentError } from 'commander';

/** Where frames leave the process. */
export type UplinkConfig = { readonly kind: 'tap'; readonly name: string };

const WANT = 'Want tap:NAME, or none.';

/** An uplink in the one way that options and files write it; `none` is none. @throws InvalidArgumentError */
export function uplink(text: string): UplinkConfig | undefined {
  if (text === 'none') return undefined;
  const [, kind, rest] = /^([a-z]+):(.+)$/.exec(text) ?? [];
  if (kind === 'tap') return { kind, name: rest! };
  throw new InvalidArgumentError(WANT);
}
