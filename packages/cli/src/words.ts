import { InvalidArgumentError } from 'commander';

/** By word: what its value is in a request. */
export type Words = Readonly<Record<string, (value: string) => Record<string, unknown>>>;

/** Settings as `ip` takes them: a word and its value, again and again. @throws InvalidArgumentError for what is none */
export function settingsOf(words: readonly string[], known: Words): Record<string, unknown> {
  const settings: Record<string, unknown> = {};
  if (words.length === 0 || words.length % 2 !== 0) throw new InvalidArgumentError('Want settings, each with a value.');
  for (let at = 0; at < words.length; at += 2) {
    const { [words[at]!]: read } = known;
    if (read === undefined)
      throw new InvalidArgumentError(`No setting is called ${words[at]}. Want ${Object.keys(known).join(', ')}.`);
    Object.assign(settings, read(words[at + 1]!));
  }
  return settings;
}

export function whole(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError(`Want a number, not ${text}.`);
  return Number(text);
}

export function isOn(text: string): boolean {
  if (text !== 'on' && text !== 'off') throw new InvalidArgumentError(`Want on or off, not ${text}.`);
  return text === 'on';
}
