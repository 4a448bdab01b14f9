/** Finds the figures in what testpmd prints, however its output is cut into pieces. */
export class TestpmdOutput {
  /** `Rx-pps` of each "show port stats", frames per second since the one before. */
  readonly rxPps: number[] = [];
  /** Prompts seen: the program takes commands from the first one on. */
  prompts = 0;
  private rest = '';

  push(piece: string): void {
    const text = this.rest + piece;
    // A figure may still grow until its line ends, and a prompt comes without a line's end.
    const lineEnd = text.lastIndexOf('\n') + 1;
    this.prompts += count(text, /testpmd> /g) - count(this.rest, /testpmd> /g);
    for (const [, pps] of text.slice(0, lineEnd).matchAll(/Rx-pps:\s+(\d+)/g)) this.rxPps.push(Number(pps));
    this.rest = text.slice(lineEnd);
  }
}

/** Figures once frames flow: those before, and the first of a part of its interval, are left out. */
export function steady(rxPps: readonly number[]): number[] {
  const begin = rxPps.findIndex((pps) => pps > 0);
  return begin < 0 ? [] : rxPps.slice(begin + 1).filter((pps) => pps > 0);
}

/** What went wrong, out of everything that a testpmd printed: its last complaint, or its last line. */
export function complaint(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return lines.findLast((line) => /error|fail|cannot|could not|unable/i.test(line)) ?? lines.at(-1) ?? 'no output';
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;
