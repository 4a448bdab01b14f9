import {
  FrameBurst,
  FramePool,
  isBreakdown,
  openNetDriver,
  openPciTransport,
  openPollDriver,
  type PollNetDriver,
  type Transport,
} from '@ringwire/guest-drivers';
import type { NetBackend } from '@ringwire/net-backend';
import { NetDevice, type NetDeviceOptions, VirtioPci } from '@ringwire/virtio-device';
import type { Machine, Station } from './architecture.js';
import { KernelStation } from './kernel-station.js';
import { Lab, MESSAGES } from './lab.js';
import { CountedAccess, type Ledger, newLedger } from './ledger.js';

const QUEUE_SIZE = 256;
const BUDGET = 64;
const POOL_BUFFERS = 1024;
const BURST = 32;
/** The host looks by itself, and never asks to be told. */
const POLLED = { pollTurns: 0x7fff_ffff };

/** @throws Error for a driver that does not come up: none of these has a reason not to */
export function opened<T extends object>(driver: T): Exclude<T, { readonly code: number }> {
  if (isBreakdown(driver)) throw new Error(driver.message);
  return driver as Exclude<T, { readonly code: number }>;
}

/** A virtio network function, and a guest that reaches it. */
interface VirtioFunction {
  readonly pci: VirtioPci;
  readonly access: CountedAccess;
}

/** @param isTrapped its registers are a program's of the host, rather than a card's */
function virtioFunction(
  lab: Lab,
  guest: number,
  backend: NetBackend,
  ledger: Ledger,
  isTrapped: boolean,
  message: (vector: number) => void,
  net: Partial<NetDeviceOptions> = {},
): VirtioFunction {
  const { memory } = lab;
  const own = { memory, scratch: lab.scratch(), backend, mac: Lab.mac(guest) };
  const model = new NetDevice({ holdWhenFull: true, ...net, ...own });
  const host = { sendMessage: (_low: number, _high: number, data: number) => message(data), setIntx: () => {} };
  const pci = new VirtioPci({ model, space: lab.space(guest, ledger), host, translated: true });
  return { pci, access: new CountedAccess(pci.pci, ledger, isTrapped) };
}

/** Bring an interrupt-driven driver up in a guest. */
export function kernelStation(
  lab: Lab,
  guest: number,
  rings: 'split' | 'packed',
  ledger: Ledger,
  connect: (station: KernelStation) => Transport,
): KernelStation {
  const station = new KernelStation(ledger);
  station.driver = opened(
    openNetDriver({
      transport: connect(station),
      dma: lab.dma(guest),
      messages: MESSAGES,
      features: Lab.features(rings),
      queueSize: QUEUE_SIZE,
      now: () => 0,
      events: { frame: (frame) => station.onFrame(frame.bytes()) },
    }),
  );
  return station;
}

/** Two guests with interrupt-driven drivers in front of virtio functions. @param portOf the far end of each one's cable */
export function kernelVirtio(
  lab: Lab,
  rings: 'split' | 'packed',
  isTrapped: boolean,
  portOf: (guest: number, ledger: Ledger) => NetBackend,
): Omit<Machine, 'host' | 'card'> & { step(): boolean } {
  const ledger = newLedger();
  const functions: VirtioPci[] = [];
  const stations = [0, 1].map((guest) =>
    kernelStation(lab, guest, rings, ledger, (station) => {
      const { pci, access } = virtioFunction(lab, guest, portOf(guest, ledger), ledger, isTrapped, (vector) =>
        station.message(vector),
      );
      functions.push(pci);
      return opened(openPciTransport(access));
    }),
  );
  const step = (): boolean => functions.reduce((done, { device }) => device.step(BUDGET) > 0 || done, false);
  return { from: stations[0]!, to: stations[1]!, ledger, step };
}

/** A guest with a poll-mode driver: no interrupts, frames in bursts. */
class PollStation implements Station {
  readonly mac: Uint8Array;
  onFrame: (frame: Uint8Array) => void = () => {};
  private readonly driver: PollNetDriver;
  private readonly pool: FramePool;
  private readonly out: FrameBurst = new FrameBurst(BURST);
  private readonly back: FrameBurst = new FrameBurst(BURST);

  constructor(driver: PollNetDriver, pool: FramePool) {
    this.driver = driver;
    this.pool = pool;
    this.mac = driver.mac;
  }

  send(frame: Uint8Array): boolean {
    const { pool, out } = this;
    if (out.count === BURST) this.flush();
    if (out.count === BURST) return false;
    const buffer = pool.take();
    if (buffer < 0) return false;
    pool.memory.u8.set(frame, pool.dataOf(buffer));
    pool.setLength(buffer, frame.length);
    out.push(buffer, frame.length);
    return true;
  }

  flush(): void {
    const { driver, out } = this;
    const sent = driver.txBurst(0, out);
    out.frame.copyWithin(0, sent, out.count);
    out.length.copyWithin(0, sent, out.count);
    out.count -= sent;
  }

  turn(): boolean {
    const { driver, pool, back } = this;
    back.clear();
    const came = driver.rxBurst(0, back);
    for (let i = 0; i < came; i++) {
      const buffer = back.frame[i]!;
      const at = pool.dataOf(buffer);
      this.onFrame(pool.memory.u8.subarray(at, at + back.length[i]!));
      pool.put(buffer);
    }
    return came + driver.reclaim(0) > 0;
  }
}

/** Two guests with poll-mode drivers in front of virtio functions of a host's program. */
export function pollVirtio(
  lab: Lab,
  rings: 'split' | 'packed',
  portOf: (guest: number, ledger: Ledger) => NetBackend,
): Omit<Machine, 'host' | 'card'> & { step(): boolean } {
  const ledger = newLedger();
  const functions: VirtioPci[] = [];
  const stations = [0, 1].map((guest) => {
    const { pci, access } = virtioFunction(
      lab,
      guest,
      portOf(guest, ledger),
      ledger,
      true,
      () => ledger.interrupts++,
      POLLED,
    );
    functions.push(pci);
    const dma = lab.dma(guest);
    const pool = new FramePool(dma, { buffers: POOL_BUFFERS });
    const transport = opened(openPciTransport(access));
    return new PollStation(opened(openPollDriver({ transport, dma, pool, features: Lab.features(rings) })), pool);
  });
  const step = (): boolean => functions.reduce((done, { device }) => device.step(BUDGET) > 0 || done, false);
  return { from: stations[0]!, to: stations[1]!, ledger, step };
}
