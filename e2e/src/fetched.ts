import { get } from 'node:http';

/** What a server sends. The connection is made before this returns, so that it may be one of another network namespace. */
export function fetched(url: string): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const request = get(url, (response) => {
      const parts: Uint8Array[] = [];
      response.on('data', (part: Uint8Array) => parts.push(part));
      response.on('end', () => resolve(Buffer.concat(parts)));
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}
