import { request } from 'node:http';
import { readStrictJson } from '@ringwire/virtio-spec/json';
import { UnusableInput } from './terminal.js';

const PATIENCE_MS = 5000;
const BYTES_MAX = 0x40_0000;

/**
 * Ask or tell a card that is served, at the socket of `ringwire serve --control`.
 * @returns its answer
 * @throws UnusableInput without one, or with the reason that it gives
 */
export async function askCard(socketPath: string, path: string, body?: unknown): Promise<unknown> {
  const { status, text } = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const lost = (error: NodeJS.ErrnoException): void =>
      reject(new UnusableInput(`${socketPath} cannot be asked: ${error.code ?? error.message}`));
    const method = body === undefined ? 'GET' : 'POST';
    const signal = AbortSignal.timeout(PATIENCE_MS);
    const asked = request({ socketPath, path, method, signal }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => {
        text += piece;
        if (text.length > BYTES_MAX) response.destroy(new Error('its answer is too long'));
      });
      response.on('error', lost);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on('error', lost);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
  const outcome = readStrictJson(text);
  if ('problem' in outcome) throw new UnusableInput(`${socketPath} does not answer as "ringwire serve --control" does`);
  if (status === 200) return outcome.value;
  const { problem } = (outcome.value ?? {}) as { problem?: unknown };
  throw new UnusableInput(typeof problem === 'string' ? problem : `${socketPath} answers ${status}`);
}
