/** What the page of `browser.test.ts` runs: a driver on its main thread, and a device in a worker of the browser's. */
import { DeviceThread } from '@ringwire/device-thread';
import { guestDma, isBreakdown, openMmioTransport, openNetDriver, SENT } from '@ringwire/guest-drivers';
import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';

/** What the page says when it is done. */
export interface PageResult {
  readonly isolated: boolean;
  readonly frames?: number;
  readonly wrong?: number;
  readonly state?: string;
  /** Times that the device's worker slept: interrupts and doorbells woke both sides. */
  readonly sleeps?: number;
  readonly reasons?: readonly string[];
  /** Of an exception. */
  readonly problem?: string;
}

const RAM = { gpa: 0x1_0000_0000, size: 0x180_0000, host: 0 } as const;
const MAC = [2, 0, 0, 0, 0, 1];
const OUTSTANDING = 64;

async function exchange(frames: number): Promise<PageResult> {
  const memory = HostMemory.create(0x200_0000);
  const thread = new DeviceThread({
    transport: 'mmio',
    memory: memory.wasm!,
    space: { type: 'regions', regions: [RAM] },
    model: {
      type: 'net',
      mac: MAC,
      scratch: RAM.size,
      holdWhenFull: true,
      backend: { type: 'loopback', at: 0x190_0000, bytes: 0x10_0000 },
    },
  });
  const { link } = thread;
  // The page's main thread may not sleep: no register is touched before the worker is there.
  await thread.ready;
  const transport = openMmioTransport(link);
  if (isBreakdown(transport)) throw new Error(transport.message);
  let received = 0;
  let wrong = 0;
  let done: () => void = () => {};
  const all = new Promise<void>((resolve) => {
    done = resolve;
  });
  const driver = openNetDriver({
    transport,
    dma: guestDma(new GuestMemory(memory, [RAM]), new PageAllocator(RAM.gpa, RAM.size)),
    now: () => performance.now(),
    events: {
      frame: (frame) => {
        const bytes = frame.bytes();
        const number = new DataView(bytes.buffer).getUint32(20);
        if (number !== received || bytes.length !== 60 || bytes[59] !== (number & 0xff)) wrong++;
        if (++received === frames) done();
      },
    },
  });
  if (isBreakdown(driver)) throw new Error(driver.message);
  let sent = 0;
  const turn = (): void => {
    while (driver.needsPoll) driver.poll();
    while (sent < frames && sent - received < OUTSTANDING) {
      const frame = new Uint8Array(60);
      frame.set([...MAC, ...MAC, 0x88, 0xb5]);
      new DataView(frame.buffer).setUint32(20, sent);
      frame[59] = sent & 0xff;
      if (driver.sendBytes(frame) !== SENT.OK) break;
      sent++;
    }
  };
  link.interrupts = {
    level: (asserted) => {
      if (!asserted) return;
      driver.interrupt();
      turn();
    },
  };
  if (!link.listen()) throw new Error('this browser has no Atomics.waitAsync');
  turn();
  await all;
  const { state } = driver;
  const reasons = await thread.explain();
  const sleeps = link.deviceSleeps;
  driver.close();
  await thread.close();
  return { isolated: crossOriginIsolated, frames: received, wrong, state, sleeps, reasons };
}

const page = globalThis as unknown as { result?: PageResult };
const frames = Number(new URLSearchParams(location.search).get('frames'));
exchange(frames).then(
  (result) => {
    page.result = result;
  },
  (error: unknown) => {
    page.result = { isolated: crossOriginIsolated, problem: String(error) };
  },
);
