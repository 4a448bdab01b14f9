const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&apos;',
};

/** XML 1.0 §2.2: characters that a document may have, line ends among them; lone surrogates are none. */
const isAllowed = (code: number): boolean =>
  code === 0x9 ||
  code === 0xa ||
  (code >= 0x20 && code <= 0xd7ff) ||
  (code >= 0xe000 && code <= 0xfffd) ||
  (code >= 0x1_0000 && code <= 0x10_ffff);

/** Text as it stands in an element or in an attribute with quotes: what XML has no characters for is a replacement character. */
export function xmlText(text: string): string {
  let out = '';
  for (const character of text) {
    if (!isAllowed(character.codePointAt(0)!)) out += '\ufffd';
    // In an attribute, parsers make spaces of these.
    else if (character === '\n' || character === '\t') out += `&#${character.charCodeAt(0)};`;
    else out += ENTITIES[character] ?? character;
  }
  return out;
}

/** An element with attributes, and either text or elements in it. @param inside as XML, already escaped */
export function xmlElement(name: string, attributes: Readonly<Record<string, string | number>>, inside = ''): string {
  const list = Object.entries(attributes).map(([key, value]) => ` ${key}="${xmlText(String(value))}"`);
  const open = `<${name}${list.join('')}`;
  return inside === '' ? `${open}/>` : `${open}>${inside}</${name}>`;
}
