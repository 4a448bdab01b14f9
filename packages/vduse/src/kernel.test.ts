import { expect, test } from 'vitest';
import { LinuxVduse } from './kernel.js';

/** The one ioctl that any file takes: whether reads and writes block, an int. */
const FIONBIO = 0x5421;

test('calls go to this machine’s kernel, and errors come back by name', () => {
  const kernel = new LinuxVduse();
  expect(kernel.open('/dev/none')).toBe('ENOENT');
  const zero = kernel.open('/dev/zero') as number;
  const bytes = new Uint8Array(152).fill(7);
  expect(kernel.read(zero, bytes)).toBe(152);
  expect(bytes).toEqual(new Uint8Array(152));
  expect(kernel.write(zero, bytes)).toBe(152);
  expect(kernel.ioctl(zero, FIONBIO, Uint8Array.of(1, 0, 0, 0))).toBe(0);
  expect(kernel.ioctl(zero, 0xc020_8110, new Uint8Array(32))).toBe('ENOTTY');
  kernel.close(zero);
  expect(kernel.ioctl(zero, FIONBIO, Uint8Array.of(1, 0, 0, 0))).toBe('EBADF');
  expect(kernel.read(zero, bytes)).toBeLessThan(0);
});
