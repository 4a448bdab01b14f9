export const find = <T extends HTMLElement>(selector: string): T => document.querySelector<T>(selector)!;
export const counted: Intl.NumberFormat = new Intl.NumberFormat('en');

/** Rows of a table, made once; the returned function shows values in them. @param place of what has the table in it */
export function table(place: string, rows: readonly string[]): (values: readonly (number | string)[]) => void {
  const cells = rows.map((name) => {
    const row = find<HTMLTableElement>(`${place} table`).insertRow();
    row.append(Object.assign(document.createElement('th'), { textContent: name, scope: 'row' }));
    return row.insertCell();
  });
  return (values) => {
    for (const [index, value] of values.entries())
      cells[index]!.textContent = typeof value === 'number' ? counted.format(value) : value;
  };
}

/** What a page says above everything else. */
export function showNote(text: string): void {
  Object.assign(find('#note'), { textContent: text, hidden: false });
}

/** Why there are no threads, on a page that is not isolated. @param inline what runs on the page then */
export const notIsolated = (inline: string): string =>
  'This page is not cross-origin isolated (crossOriginIsolated is false), so threads cannot share memory: ' +
  `${inline} run inline, on the page. For threads, serve it with Cross-Origin-Opener-Policy: same-origin and ` +
  'Cross-Origin-Embedder-Policy: require-corp.';

/** Shows how fast a count grows: call what is returned now and then. @param show hears the rate, per second */
export function rateOf(count: () => number, show: (rate: number, seconds: number) => void): () => void {
  let before = count();
  let then = performance.now();
  return () => {
    const now = performance.now();
    const value = count();
    show(((value - before) * 1000) / (now - then), now / 1000);
    before = value;
    then = now;
  };
}
