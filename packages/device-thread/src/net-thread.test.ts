import { SENT } from '@ringwire/guest-drivers';
import { expect, test } from 'vitest';
import { DeviceThread } from './device-thread.js';
import { loopbackThread, NetSide, netMemory, numberedFrame, TRANSPORTS } from './testing/net-thread.js';

const FRAMES = 100_000;
const OUTSTANDING = 100;

test.each(TRANSPORTS)(
  `${FRAMES} frames go to a device in another thread and come back, each once, in order, every byte, %s`,
  async (transport) => {
    const memory = netMemory();
    const thread = new DeviceThread(loopbackThread(transport, memory));
    let received = 0;
    let wrong = 0;
    const bytes = new Uint8Array(1514);
    const side = new NetSide(thread.link, memory, {
      frame: (frame) => {
        const want = numberedFrame(received++);
        const length = frame.copyTo(bytes);
        if (length !== want.length || Buffer.compare(bytes.subarray(0, length), want) !== 0) wrong++;
      },
    });
    let sent = 0;
    while (received < FRAMES) {
      while (sent < FRAMES && sent - received < OUTSTANDING) {
        if (side.driver.sendBytes(numberedFrame(sent)) !== SENT.OK) break;
        sent++;
      }
      if (!side.attend()) throw new Error(`after ${received} frames of ${sent} no interrupt came any more`);
    }
    expect([received, wrong, side.driver.state]).toEqual([FRAMES, 0, 'running']);
    side.driver.close();
    await thread.close();
  },
);
