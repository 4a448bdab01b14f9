import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DmaMemory, guestDma, isBreakdown, type NetDriver, openNetDriver } from '@ringwire/guest-drivers';
import { HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { accept, close, connectUnix, listenUnix } from '@ringwire/linux';
import { FrameQueue, LoopbackBackend } from '@ringwire/net-backend';
import { PeerMemory } from '@ringwire/peer-memory';
import { NET_SCRATCH_BYTES, NetDevice, type NetDeviceOptions } from '@ringwire/virtio-device';
import type { FrontEndOptions } from '../front-end-options.js';
import { openVhostUserTransport, type VhostUserTransport } from '../front-end-transport.js';
import { Session } from '../session.js';
import { SharedRam } from '../shared-ram.js';

export const STATION: Uint8Array = Uint8Array.of(2, 0, 0, 0, 0, 1);
/** RAM below and above 4 GiB, so that a driver's addresses are not its offsets. */
const RAM = [
  { gpa: 0x10_0000, size: 0x10_0000 },
  { gpa: 0x1_0000_0000, size: 0x80_0000 },
] as const;
const CABLE_BYTES = 0x20_0000;

/** To the station itself. */
export function ownFrame(length: number, seed: number): Uint8Array {
  const bytes = Uint8Array.from({ length }, (_, at) => at * 7 + seed);
  bytes.set(STATION);
  return bytes;
}

/** A front-end and the project's own back-end, whose turn comes whenever the front-end waits. */
export class FrontStage {
  readonly directory: string = mkdtempSync(join(tmpdir(), 'ringwire-front-'));
  readonly path: string = join(this.directory, 's');
  readonly ram: SharedRam;
  readonly pages: PageAllocator;
  readonly dma: DmaMemory;
  readonly net: NetDevice;
  session: Session | undefined;
  /** Connections so far. */
  sessions = 0;
  /** Milliseconds. */
  time = 0;
  private readonly memory: PeerMemory;
  private readonly front: PeerMemory;
  private listener: number;

  constructor(options: Partial<NetDeviceOptions> = {}) {
    const host = HostMemory.create(0x400_0000);
    const start = NET_SCRATCH_BYTES + CABLE_BYTES;
    this.memory = new PeerMemory(host, start, host.size - start);
    const cable = new FrameQueue(host, NET_SCRATCH_BYTES, CABLE_BYTES, 256);
    this.net = new NetDevice({
      memory: host,
      scratch: 0,
      backend: new LoopbackBackend(cable),
      mac: STATION,
      holdWhenFull: true,
      ...options,
    });
    const guest = HostMemory.create(0x200_0000);
    this.front = new PeerMemory(guest, 0, guest.size);
    this.ram = new SharedRam(this.front, RAM);
    this.pages = new PageAllocator(RAM[1].gpa, RAM[1].size);
    this.dma = guestDma(this.ram.space, this.pages);
    this.listener = listenUnix(this.path);
  }

  open(options: Partial<FrontEndOptions> = {}): VhostUserTransport {
    const transport = openVhostUserTransport({
      path: this.path,
      ram: this.ram,
      now: () => this.time,
      pause: () => this.turn(),
      ...options,
    });
    if (isBreakdown(transport)) throw new Error(transport.message);
    return transport;
  }

  /** An interrupt-driven driver, running. */
  kernel(
    transport: VhostUserTransport,
    features?: Uint32Array,
    pairs = 1,
  ): { driver: NetDriver; heard: Uint8Array[]; links: boolean[] } {
    const heard: Uint8Array[] = [];
    const links: boolean[] = [];
    const driver = openNetDriver({
      transport,
      dma: this.dma,
      now: () => this.time,
      pairs,
      queueSize: 64,
      receiveBytes: 0x10_0000,
      ...(features === undefined ? {} : { features }),
      events: { frame: (received) => heard.push(received.bytes()), link: (isUp) => links.push(isUp) },
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    return { driver, heard, links };
  }

  /** Interrupts and what they ask for, and the back-end's turn, until nothing more comes. */
  settle(transport: VhostUserTransport, driver: NetDriver): void {
    for (let quiet = 0; quiet < 4; quiet++) {
      this.turn();
      transport.takeInterrupts((vector) => driver.interrupt(vector));
      while (driver.needsPoll) {
        driver.poll();
        quiet = 0;
      }
    }
  }

  /** A turn of the back-end. @param budget chains of each ring */
  turn(budget = 64): void {
    this.time++;
    if (this.session === undefined) this.serve(accept(this.listener));
    const { session } = this;
    if (session === undefined) return;
    session.serve(64);
    for (const vring of session.port.vrings) if (vring.kick >= 0) session.port.kicked(vring);
    session.port.step(budget);
    session.port.finishTurn();
    if (session.problem !== undefined) this.cut();
  }

  /** The same, of a back-end that connects to the front-end. */
  turnTowards(path: string): void {
    if (this.session === undefined) this.serve(connectUnix(path));
    this.turn();
  }

  /** The back-end goes. */
  cut(): void {
    this.session?.close();
    this.session = undefined;
  }

  private serve(socket: number): void {
    if (socket < 0) return;
    this.sessions++;
    this.session = new Session({
      socket,
      device: { model: this.net },
      memory: this.memory,
      now: () => this.time * 1000,
    });
  }

  end(): void {
    this.cut();
    this.ram.close();
    close(this.listener);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
