import { HostMemory } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { DeviceThread } from './device-thread.js';

test('a register is read across threads', async () => {
  const memory = HostMemory.create(0x10_0000);
  const thread = new DeviceThread({ transport: 'mmio', model: { type: 'entropy' }, memory: memory.wasm! });
  expect(thread.link.read(0, 4)).toBe(0x7472_6976);
  expect(thread.link.read(8, 4)).toBe(4);
  await thread.ready;
  await thread.close();
});
