import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { guestDma, isBreakdown, type NetDriver, openNetDriver } from '@ringwire/guest-drivers';
import { ACCESS, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { PeerMemory } from '@ringwire/peer-memory';
import type { FrontEndOptions } from '../front-end-options.js';
import { openVhostUserTransport, type VhostUserTransport } from '../front-end-transport.js';
import { SharedRam } from '../shared-ram.js';
import { ScriptedBackEnd } from './scripted-back-end.js';

export const REPLY_MS = 50;
const RAM = { gpa: 0x10_0000, size: 0x80_0000 };

/** A front-end with two queue pairs and its driver, and a scripted back-end whose turn comes while they wait. */
export class FrontScript {
  readonly backEnd: ScriptedBackEnd;
  readonly pages: PageAllocator = new PageAllocator(RAM.gpa, RAM.size);
  readonly path: string;
  /** Milliseconds. */
  time = 0;
  /** What the driver was told of its link. */
  readonly links: boolean[] = [];
  private readonly directory: string = mkdtempSync(join(tmpdir(), 'ringwire-script-'));
  private readonly ram: SharedRam;

  constructor() {
    this.path = join(this.directory, 's');
    this.backEnd = new ScriptedBackEnd(this.path);
    const host = HostMemory.create(0x100_0000);
    this.ram = new SharedRam(new PeerMemory(host, 0, host.size), [RAM]);
  }

  /** @returns the transport, or why there is none */
  reach(options: Partial<FrontEndOptions> = {}): VhostUserTransport | string {
    const transport = openVhostUserTransport({
      path: this.path,
      ram: this.ram,
      pairs: 2,
      mtu: 1400,
      replyMs: REPLY_MS,
      now: () => this.time,
      pause: () => {
        this.time++;
        this.backEnd.turn();
      },
      ...options,
    });
    return isBreakdown(transport) ? transport.message : transport;
  }

  /** @param features to choose from @returns undefined where the device cannot be taken into use */
  drive(transport: VhostUserTransport, features?: Uint32Array): NetDriver | undefined {
    const driver = openNetDriver({
      transport,
      dma: guestDma(this.ram.space, this.pages),
      now: () => this.time,
      pairs: 2,
      queueSize: 64,
      receiveBytes: 0x4_0000,
      recovery: { tries: 0, pause: 1 },
      patience: { tries: 3 },
      ...(features === undefined ? {} : { features }),
      events: { frame: () => {}, link: (isUp) => this.links.push(isUp) },
    });
    return isBreakdown(driver) ? undefined : driver;
  }

  /** A turn of everybody. */
  attend(transport: VhostUserTransport, driver: NetDriver): void {
    this.backEnd.turn();
    transport.takeInterrupts((vector) => driver.interrupt(vector));
    while (driver.needsPoll) driver.poll();
    driver.watch();
  }

  /** As a back-end that used buffers. @param address a ring's, as the back-end was told it */
  setUsedIndex(address: Uint8Array, index: number): void {
    const used = Number(new DataView(address.buffer).getBigUint64(16, true));
    const at = this.ram.space.resolve(used + 2, 2, ACCESS.WRITE);
    this.ram.space.memory.view.setUint16(at, index, true);
  }

  end(): void {
    this.backEnd.end();
    this.ram.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export const stateOf = (driver: NetDriver): string => `${driver.state}, ${driver.isLinkUp ? 'up' : 'down'}`;
