const WIDTH = 112;

/** Break a text into lines between its words. @param first begins the first line; the others are indented as far */
export function wrapText(text: string, first = ''): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && first.length + line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = word;
    } else line += line === '' ? word : ` ${word}`;
  }
  return `${first}${[...lines, line].join(`\n${' '.repeat(first.length)}`)}\n`;
}
