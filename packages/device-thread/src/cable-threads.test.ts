import { SENT } from '@ringwire/guest-drivers';
import { HostMemory } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { DeviceThread } from './device-thread.js';
import { NetSide, numberedFrame, TRANSPORTS } from './testing/net-thread.js';
import type { ThreadConfig } from './thread-config.js';

const FRAMES = 20_000;
const OUTSTANDING = 100;
/** Each side's RAM and scratch, and the cable behind both. */
const SIDE_BYTES = 0x200_0000;
const CABLE = { type: 'cable', at: 2 * SIDE_BYTES, bytes: 0x20_0000 } as const;

function side(memory: HostMemory, end: 0 | 1, transport: ThreadConfig['transport']): ThreadConfig {
  const host = end * SIDE_BYTES;
  return {
    transport,
    memory: memory.wasm!,
    space: { type: 'regions', regions: [{ gpa: 0x1_0000_0000, size: 0x180_0000, host }] },
    // The frames are all for the same station.
    model: {
      type: 'net',
      mac: [2, 0, 0, 0, 0, 1],
      scratch: host + 0x180_0000,
      backend: { ...CABLE, end },
      holdWhenFull: true,
    },
  };
}

test.each(TRANSPORTS)(`${FRAMES} frames between devices of two threads: each once, in order, %s`, async (transport) => {
  const memory = HostMemory.create(2 * SIDE_BYTES + CABLE.bytes);
  const threads = ([0, 1] as const).map((end) => new DeviceThread(side(memory, end, transport)));
  const bytes = new Uint8Array(1514);
  let received = 0;
  let wrong = 0;
  const take = { frame: () => {} };
  const left = new NetSide(threads[0]!.link, memory, take);
  const right = new NetSide(
    threads[1]!.link,
    memory,
    {
      frame: (frame) => {
        const want = numberedFrame(received++);
        const length = frame.copyTo(bytes);
        if (Buffer.compare(bytes.subarray(0, length), want) !== 0) wrong++;
      },
    },
    {},
    SIDE_BYTES,
  );
  let sent = 0;
  let idle = 0;
  while (received < FRAMES) {
    while (sent < FRAMES && sent - received < OUTSTANDING && left.driver.sendBytes(numberedFrame(sent)) === SENT.OK)
      sent++;
    // Either side may be what the other one waits for.
    idle = right.attend(5) || left.attend(5) ? 0 : idle + 1;
    if (idle === 1000) throw new Error(`after ${received} frames of ${sent} no interrupt came any more`);
  }
  expect([received, wrong, left.driver.state, right.driver.state]).toEqual([FRAMES, 0, 'running', 'running']);
  // Nobody is at the other end any more: what is sent is lost, and the sender goes on.
  await threads[1]!.close();
  for (let n = 0; n < 1000; n++) {
    while (left.driver.sendBytes(numberedFrame(n)) !== SENT.OK) expect(left.attend()).toBe(true);
  }
  await threads[0]!.close();
});
