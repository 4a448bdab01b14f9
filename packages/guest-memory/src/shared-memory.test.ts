import { VirtioError } from '@ringwire/virtio-spec';
import { afterEach, expect, test, vi } from 'vitest';
import { HostMemory } from './host-memory.js';

afterEach(() => vi.unstubAllGlobals());

test('a page that is not isolated is told what it is to be served with', () => {
  vi.stubGlobal('SharedArrayBuffer', undefined);
  expect(() => HostMemory.create(1)).toThrow(VirtioError);
  expect(() => HostMemory.create(1)).toThrow(
    /^crossOriginIsolated is false, want true: serve the page with Cross-Origin-Opener-Policy: same-origin and /,
  );
});
