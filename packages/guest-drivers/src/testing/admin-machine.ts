import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { FrameQueue, LoopbackBackend } from '@ringwire/net-backend';
import { MemberDevice, NET_SCRATCH_BYTES, NetDevice, VirtioPci } from '@ringwire/virtio-device';
import { type AdminDriver, type AdminSetup, openAdminDriver } from '../admin-driver.js';
import type { AdminReply } from '../admin-queue.js';
import { type Breakdown, isBreakdown } from '../breakdown.js';
import { guestDma } from '../dma-memory.js';
import { openPciTransport, type PciTransport } from '../pci-transport.js';
import type { MsixMessage } from '../transport.js';

const RAM_BYTES = 0x100_0000;
const RAM = 0x1_0000_0000;
const CABLE_BYTES = 0x4_0000;
const FUNCTION_BYTES = NET_SCRATCH_BYTES + CABLE_BYTES;
const FUNCTIONS_MAX = 3;
const memory = HostMemory.create(RAM_BYTES + (FUNCTIONS_MAX + 1) * FUNCTION_BYTES);

/** A network function whose cable comes back to it, and the interrupts that it sent. */
export interface Machine {
  readonly virtio: VirtioPci;
  readonly messages: number[];
}

/** A physical function with virtual ones, in one guest's memory; the administration driver of the former. */
export class AdminMachine {
  readonly space: GuestMemory;
  readonly pages: PageAllocator = new PageAllocator(RAM, RAM_BYTES);
  readonly owner: Machine;
  readonly members: Machine[] = [];
  isEnabled = true;
  time = 0;
  /** Whether the physical function does anything. */
  isAlive = true;
  readonly told: Breakdown[] = [];
  readonly driver: AdminDriver;
  private placed = 0;

  constructor(functions = 2, messages = 2, change: Partial<AdminSetup> = {}) {
    memory.engine.fill(0, 0, memory.size);
    this.space = new GuestMemory(memory, [{ gpa: RAM, size: RAM_BYTES, host: 0 }]);
    const members: MemberDevice[] = [];
    const machine = this;
    const sriov = {
      get isEnabled(): boolean {
        return machine.isEnabled;
      },
      get count(): number {
        return members.length;
      },
      member: (id: number) => members[id - 1],
    };
    this.owner = this.addFunction({ queues: 2, sriov });
    for (let id = 1; id <= functions; id++) {
      const member = this.addFunction();
      this.members.push(member);
      members.push(new MemberDevice(member.virtio));
    }
    const driver = openAdminDriver({
      transport: this.transport(this.owner),
      dma: guestDma(this.space, this.pages),
      now: () => this.time,
      messages: Array.from(
        { length: messages },
        (_, data): MsixMessage => ({ addressLo: 0xfee0_0000, addressHi: 0, data }),
      ),
      functions: () => (this.isEnabled ? members.length : 0),
      broken: (why) => this.told.push(why),
      ...change,
    });
    if (isBreakdown(driver)) throw new Error(driver.message);
    this.driver = driver;
  }

  transport({ virtio }: Machine): PciTransport {
    const transport = openPciTransport(virtio.pci);
    if (isBreakdown(transport)) throw new Error(transport.message);
    return transport;
  }

  /** Steps of all devices, and interrupts, until a command is over. @returns how it ended */
  wait(send: (done: (reply: AdminReply) => void) => boolean): AdminReply {
    let reply: AdminReply | undefined;
    const done = (ended: AdminReply): void => {
      reply = ended;
    };
    if (!send(done)) throw new Error('the command was not sent');
    for (let turns = 0; turns < 100 && reply === undefined; turns++) this.turn();
    if (reply === undefined) throw new Error('the command does not end');
    return reply;
  }

  turn(): void {
    if (this.isAlive) this.owner.virtio.device.step(64);
    for (const { virtio } of this.members) virtio.device.step(64);
    if (this.owner.messages.splice(0).length > 0) this.driver.interrupt();
  }

  private addFunction(admin?: ConstructorParameters<typeof VirtioPci>[0]['admin']): Machine {
    const at = RAM_BYTES + this.placed++ * FUNCTION_BYTES;
    const cable = new FrameQueue(memory, at + NET_SCRATCH_BYTES, CABLE_BYTES, 8);
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
    const model = new NetDevice({ memory, scratch: at, backend: new LoopbackBackend(cable), mac, holdWhenFull: true });
    const messages: number[] = [];
    const host = {
      sendMessage: (_low: number, _high: number, data: number): void => {
        messages.push(data);
      },
      setIntx: (asserted: boolean): void => {
        if (asserted) messages.push(-1);
      },
    };
    const config = { model, space: this.space, host, now: () => this.time * 1000 };
    return { virtio: new VirtioPci({ ...config, ...(admin === undefined ? {} : { admin }) }), messages };
  }
}
