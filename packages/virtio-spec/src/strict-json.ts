/** What became of a text that somebody else wrote. */
export type JsonOutcome = { readonly value: unknown } | { readonly problem: string };

/** Containers in each other: no file of ours comes near. */
const DEPTH_MAX = 64;
/** Characters of a number: a double needs 25 at most. */
const NUMBER_MAX = 64;
/** Of a key, in a message. */
const SHOWN_KEY = 40;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const NUMBER = /[-+.0-9eE]*/y;

/**
 * JSON from a file or a peer. Refused, in time that grows with the length of the text alone, is what `JSON.parse` takes and
 * what follows should not see: containers nested more than 64 deep, numbers of more than 64 characters, an object with a
 * key twice, and the key `__proto__`, which copying an object would take for something else than a name. All other keys,
 * `constructor` among them, are plain names.
 */
export function readStrictJson(text: string): JsonOutcome {
  const problem = scan(text);
  if (problem !== undefined) return { problem };
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    return { problem: (error as Error).message };
  }
}

/** @returns what is refused, or undefined; that the text is no JSON at all is found out later */
function scan(text: string): string | undefined {
  /** Keys of the objects around; undefined for a list. */
  const around: (Set<string> | undefined)[] = [];
  /** What comes next in an object is a key. */
  let isKey = false;
  let at = 0;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = stringEnd(text, at);
      const keys = around.at(-1);
      if (isKey && keys !== undefined) {
        const problem = addKey(keys, text.slice(at, end), at);
        if (problem !== undefined) return problem;
      }
      isKey = false;
      at = end;
      continue;
    }
    if (code === OPEN_LIST || code === OPEN_OBJECT) {
      if (around.length === DEPTH_MAX) return `nested more than ${DEPTH_MAX} deep at character ${at}`;
      around.push(code === OPEN_OBJECT ? new Set() : undefined);
      isKey = code === OPEN_OBJECT;
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) {
      around.pop();
      isKey = false;
    } else if (code === COMMA) isKey = around.at(-1) !== undefined;
    else if (isDigit(code)) {
      NUMBER.lastIndex = at;
      const { length } = NUMBER.exec(text)![0];
      if (length > NUMBER_MAX) return `a number of ${length} characters at character ${at}`;
      at += length;
      continue;
    }
    at++;
  }
  return undefined;
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;

/** @returns where what follows a string begins; the end of the text for a string without an end */
function stringEnd(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at++;
    else if (code === QUOTE) return at + 1;
  }
  return text.length;
}

/** @param written as in the text, with its quotes */
function addKey(keys: Set<string>, written: string, at: number): string | undefined {
  const key = nameOf(written);
  const shown = key.length > SHOWN_KEY ? `${key.slice(0, SHOWN_KEY)}…` : key;
  if (key === '__proto__') return `the key "__proto__" at character ${at}`;
  if (keys.has(key)) return `the key ${JSON.stringify(shown)} twice in one object, again at character ${at}`;
  keys.add(key);
  return undefined;
}

/** The name that a key stands for: escapes may spell one in many ways. */
function nameOf(written: string): string {
  if (!written.includes('\\')) return written.slice(1, -1);
  try {
    return JSON.parse(written) as string;
  } catch {
    return written;
  }
}
