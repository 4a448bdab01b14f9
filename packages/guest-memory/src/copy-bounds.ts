import { VirtioError } from '@ringwire/virtio-spec';

/**
 * Throws unless `[offset, offset + length)` lies in `size` bytes; both are integers, and a length is below 2^32.
 * Both engines ask it before every operation: WebAssembly would take a number modulo 2^32, and JavaScript's own
 * copies clamp what does not fit.
 */
export function checkRange(field: 'to' | 'from', offset: number, length: number, size: number): void {
  if (length >>> 0 === length && offset >= 0 && offset + length <= size) return;
  refuse(field, offset, length, size);
}

function refuse(field: string, offset: number, length: number, size: number): never {
  if (length >>> 0 !== length) throw new VirtioError('length', length, 'an integer from 0 to 2^32-1', 'CopyEngine');
  throw new VirtioError(field, offset, `${length} bytes from there inside the memory's ${size}`, 'CopyEngine');
}
