import { checkedInput } from './input-file.js';
import { LiveReportFile, liveText, problemsOf } from './live-report.js';
import { type ExitCode, type Terminal, UnusableInput } from './terminal.js';

const PATIENCE_MS = 5000;
const BYTES_MAX = 0x40_0000;

/** `ringwire explain http://HOST:PORT`: ask a `ringwire serve` that runs. @throws UnusableInput without a usable answer */
export async function explainLive(url: string, asJson: boolean, terminal: Terminal): Promise<ExitCode> {
  const text = await answerOf(`${url.replace(/\/+$/, '').replace(/\/explain$/, '')}/explain`);
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    throw new UnusableInput(`${url} does not answer as "ringwire serve --metrics" does`);
  }
  const report = checkedInput(url, content, LiveReportFile);
  terminal.out(asJson ? `${JSON.stringify(report, null, 2)}\n` : liveText(report, terminal.color));
  return problemsOf(report.ports) > 0 ? 1 : 0;
}

async function answerOf(url: string): Promise<string> {
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const response = await fetch(url, { headers: { accept: 'application/json' }, redirect: 'error', signal });
    if (!response.ok) throw new UnusableInput(`${url} answers ${response.status}`);
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of response.body ?? []) {
      pieces.push(piece);
      bytes += piece.length;
      if (bytes > BYTES_MAX) throw new UnusableInput(`${url} answers with more than ${BYTES_MAX} bytes`);
    }
    return Buffer.concat(pieces).toString('utf8');
  } catch (error) {
    if (error instanceof UnusableInput) throw error;
    const { cause } = error as { cause?: NodeJS.ErrnoException };
    const why = cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : error);
    throw new UnusableInput(`${url} cannot be asked: ${why}`);
  }
}
