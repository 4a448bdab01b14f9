import type { Terminal } from './terminal.js';

/** What is counted of one thing, now. */
export interface Flow {
  readonly name: string;
  readonly inFrames: number;
  readonly outFrames: number;
  readonly bytes: number;
}

const UNITS = ['', 'k', 'M', 'G'] as const;

/** `1.2M`: three digits and a unit. */
export function short(value: number): string {
  let unit = 0;
  let scaled = value;
  while (scaled >= 999.5 && unit < UNITS.length - 1) {
    scaled /= 1000;
    unit++;
  }
  const digits = unit === 0 || scaled >= 99.95 ? 0 : scaled >= 9.995 ? 1 : 2;
  return `${scaled.toFixed(digits)}${UNITS[unit]}`;
}

/** Rates of everything between two moments, as one line. Counters that began anew count from zero. */
export function ratesText(before: readonly Flow[], now: readonly Flow[], seconds: number): string {
  const rate = (from: number | undefined, to: number): string =>
    short(Math.max(0, to - (from !== undefined && from <= to ? from : 0)) / seconds);
  return now
    .map(({ name, inFrames, outFrames, bytes }, index) => {
      const last = before[index];
      const bits = rate(last === undefined ? undefined : 8 * last.bytes, 8 * bytes);
      return `${name} ${rate(last?.inFrames, inFrames)}/s in ${rate(last?.outFrames, outFrames)}/s out ${bits}bit/s`;
    })
    .join(' | ');
}

/** One line at the end of a terminal that is written anew, with other lines above it. */
export class StatusLine {
  private readonly terminal: Terminal;
  private text = '';

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  /** A line that stays. */
  say(line: string): void {
    this.terminal.err(`${this.cleared()}${line}\n${this.text}`);
  }

  /** The line that is written anew; nothing where it cannot be. */
  show(text: string): void {
    const width = this.terminal.liveColumns?.() ?? 0;
    if (width === 0) return;
    const cleared = this.cleared();
    this.text = text.slice(0, width - 1);
    this.terminal.err(`${cleared}${this.text}`);
  }

  end(): void {
    if (this.text !== '') this.terminal.err(this.cleared());
    this.text = '';
  }

  private cleared(): string {
    return this.text === '' ? '' : '\r\u001b[K';
  }
}
