import { guestDma, isBreakdown, openMmioTransport } from '@ringwire/guest-drivers';
import { GuestMemory, HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { LearningSwitch, type NetBackend } from '@ringwire/net-backend';
import { NET_SCRATCH_BYTES, NetDevice, VirtioMmio } from '@ringwire/virtio-device';
import { Guest } from '../../examples/browser/src/guest.js';
import { machineFiles } from '../../examples/v86/src/guest-parts.js';
import { LinuxMachine } from '../../examples/v86/src/linux-machine.js';

/** Networks of cards with MSI-X, and of cards with an interrupt pin: their addresses begin so. */
export const NETWORKS = { msix: '10.0.0', pin: '10.0.1' } as const;
const RAM = 0x40_0000;
/** How often a station looks after what is lost, in ms. */
const WATCH_MS = 100;

export const mac = (last: number): Uint8Array => Uint8Array.of(2, 0, 0, 0, 0, last);

/** Two v86 machines, on two switches, and one of our own drivers on the first of them. */
export class V86Network {
  readonly switches = { msix: new LearningSwitch(3), pin: new LearningSwitch(2) } as const;
  readonly machines: LinuxMachine[] = [];
  readonly names: { msix: string; pin: string }[] = [];

  /** Another machine, from a state: its cards are plugged in where those of the machine before were. */
  async open(index: number, state: ArrayBuffer): Promise<LinuxMachine> {
    const { msix, pin } = this.switches;
    const machine = await LinuxMachine.open(
      machineFiles(),
      { state },
      {
        msix: { port: msix.ports[index]!, mac: mac(index + 1) },
        pin: { port: pin.ports[index]!, mac: mac(index + 0x11) },
      },
    );
    this.machines[index] = machine;
    return machine;
  }

  /** The same from a machine that has booted and loaded no driver: it has addresses when this is over. */
  async start(index: number, state: ArrayBuffer): Promise<void> {
    const machine = await this.open(index, state);
    const names = await machine.loadDrivers();
    this.names[index] = names;
    for (const kind of ['msix', 'pin'] as const)
      await machine.must(
        `ip address add ${NETWORKS[kind]}.${index + 1}/24 dev ${names[kind]}; ip link set ${names[kind]} up`,
      );
    await machine.must('httpd -p 8000 -h /tmp');
  }

  async close(): Promise<void> {
    for (const machine of this.machines) await machine.close();
  }
}

/** A station of ours: our driver and our device, which answer ARP and pings. @param last of its addresses */
export function openStation(port: NetBackend, last: number): { guest: Guest; close: () => void } {
  const memory = HostMemory.create(RAM + NET_SCRATCH_BYTES);
  const space = new GuestMemory(memory, [{ gpa: 0, size: RAM, host: 0 }]);
  const model = new NetDevice({ memory, scratch: RAM, backend: port, mac: mac(last) });
  let guest: Guest | undefined;
  let isDue = false;
  const turn = (): void => {
    isDue = false;
    while (device.device.step(64) > 0 || guest?.attend() === true);
    guest?.driver.interrupt();
    guest?.attend();
    device.device.step(64);
  };
  const wake = (): void => {
    if (isDue) return;
    isDue = true;
    setImmediate(turn);
  };
  const device = new VirtioMmio({ model, space, interrupt: () => {}, wake });
  const transport = openMmioTransport({
    read: (at, bytes) => device.read(at, bytes),
    write: (at, bytes, value) => device.write(at, bytes, value),
  });
  if (isBreakdown(transport)) throw new Error(transport.message);
  guest = new Guest(
    transport,
    guestDma(space, new PageAllocator(0x1000, RAM - 0x1000)),
    { mac: mac(last), ip: Uint8Array.of(10, 0, 0, last) },
    Uint8Array.of(10, 0, 0, 1),
  );
  const timer = setInterval(() => {
    guest.watch();
    wake();
  }, WATCH_MS);
  return {
    guest,
    close: () => {
      clearInterval(timer);
      model.close();
    },
  };
}
