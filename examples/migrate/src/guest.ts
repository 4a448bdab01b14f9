import { guestDma, isBreakdown, type NetDriver, openNetDriver, SENT } from '@ringwire/guest-drivers';
import { ACCESS, GuestMemory, PageAllocator } from '@ringwire/guest-memory';
import { type QueuePlace, VDPA, type VdpaDevice, VdpaTransport } from '@ringwire/vdpa';
import { GUEST, type Lab, NEIGHBOUR, RAM_BYTES, RAM_GPA } from './lab.js';
import { Station } from './station.js';

const RECEIVE_BYTES = 0x10_0000;
/** Buffers of each queue in a turn of its device. */
const BUDGET = 64;

/** A guest with an unchanged virtio-net driver, and programs on top of it, in front of some vendor's vDPA device. */
export class Guest {
  readonly station: Station;
  device: VdpaDevice;
  /** Its processors stand still. */
  isPaused = false;
  private readonly transport: VdpaTransport;
  private readonly driver: NetDriver;
  private readonly vectors: number[] = [];

  constructor(lab: Lab, device: VdpaDevice, now: () => number) {
    this.device = device;
    const memory = new GuestMemory(lab.memory, [{ gpa: RAM_GPA, size: RAM_BYTES, host: lab.ramHost }]);
    // All of the guest's RAM, as a hypervisor maps it that has the device open.
    const mapping = { iova: RAM_GPA, bytes: RAM_BYTES, host: lab.ramHost, access: ACCESS.READ | ACCESS.WRITE };
    if (device.map(0, mapping) !== VDPA.OK) throw new Error('the guest’s RAM cannot be mapped');
    this.transport = new VdpaTransport(device, (vector = 0) => this.vectors.push(vector));
    const driver = openNetDriver({
      transport: this.transport,
      dma: guestDma(memory, new PageAllocator(RAM_GPA, RAM_BYTES)),
      events: { frame: (frame) => this.station.receive(frame.bytes()) },
      receiveBytes: RECEIVE_BYTES,
      now: () => now() / 1000,
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
    this.station = new Station(GUEST, NEIGHBOUR.ip, { now, send: (frame) => driver.sendBytes(frame) === SENT.OK });
  }

  /** The queues, where the driver put them. */
  get places(): readonly QueuePlace[] {
    return this.transport.places;
  }

  /** Packed or split. */
  get rings(): string {
    return this.driver.features[1]! & 4 ? 'packed' : 'split';
  }

  /** An interrupt for a queue that a hypervisor makes up. */
  interruptFor(index: number): void {
    this.transport.interruptFor(index);
  }

  /** Behind its transport is another device from now on; its driver notices nothing. */
  arrive(device: VdpaDevice): void {
    this.device = device;
    this.transport.moveTo(device);
    this.isPaused = false;
  }

  /** Its processors get some time, and then its device. */
  turn(): void {
    if (!this.isPaused) this.run();
    this.device.step(BUDGET);
  }

  close(): void {
    this.driver.close();
  }

  private run(): void {
    const { driver, vectors, station } = this;
    for (const vector of vectors.splice(0)) driver.interrupt(vector);
    while (driver.needsPoll) driver.poll();
    station.turn();
    driver.watch();
  }
}
