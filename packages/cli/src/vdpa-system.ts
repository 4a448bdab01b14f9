import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { guestDma, isBreakdown, openNetDriver, SENT } from '@ringwire/guest-drivers';
import { HostMemory, IdentitySpace, PageAllocator } from '@ringwire/guest-memory';
import {
  VdpaBus as Bus,
  isVdpaRefusal,
  loadParent,
  simParent,
  type VdpaBus,
  type VdpaHost,
  vhostVdpa,
  virtioVdpa,
} from '@ringwire/vdpa';
import { ixgbeParent, vendorBParent } from '@ringwire/vdpa-vendors';
import { z } from 'zod';
import { checkedInput, readBytes } from './input-file.js';
import { macAddress } from './nic-names.js';
import { parsed } from './parsed-field.js';
import { contentOf } from './serve-file.js';
import { UnusableInput } from './terminal.js';

const MIB = 0x10_0000;
const ADDON_BYTES = 64 * MIB;
const DRIVER_BYTES = 64 * MIB;
const FRAMES_MAX = 100_000;
const FRAME_BYTES = 64;
/** Frames that are sent before the device gets its turn. */
const BURST = 16;

const Name = z.string().min(1);
const Positive = z.number().int().min(1);

const SystemFile = z.strictObject({
  parents: z.array(
    z.union([
      z.strictObject({
        sim: Name,
        pairs: Positive.max(16).optional(),
        devices: Positive.max(32).optional(),
        vendor: z.number().int().min(0).max(0xffff_ffff).optional(),
      }),
      z.strictObject({
        // YAML has a number where a name is made of digits.
        card: z.coerce.string().pipe(z.enum(['82599', 'vendor-b'])),
        name: Name,
        functions: Positive.max(8).optional(),
      }),
      z.strictObject({ module: Name }),
    ]),
  ),
  devices: z.array(
    z.strictObject({
      name: Name,
      mgmtdev: Name,
      mac: parsed(macAddress).optional(),
      mtu: Positive.optional(),
      max_vqp: Positive.optional(),
      driver: z.enum(['vhost_vdpa', 'virtio_vdpa']).optional(),
      frames: z.number().int().min(0).max(FRAMES_MAX).optional(),
    }),
  ),
});
type SystemFile = z.infer<typeof SystemFile>;

/**
 * Make the system that a file describes: management devices, their devices, and where the file says so a driver that sends
 * frames.
 * @throws UnusableInput naming what of the file cannot be
 */
export async function openVdpaSystem(path: string): Promise<VdpaBus> {
  const text = new TextDecoder().decode(readBytes(path, path));
  const { parents, devices } = checkedInput(path, contentOf(path, text), SystemFile);
  const memory = HostMemory.create(ADDON_BYTES + DRIVER_BYTES);
  const host = { memory, pages: new PageAllocator(0, ADDON_BYTES) };
  const bus = new Bus();
  bus.addDriver(vhostVdpa);
  bus.addDriver(virtioVdpa);
  for (const [at, parent] of parents.entries()) {
    const opened = await openParent(path, host, parent);
    if (bus.parents.some(({ name }) => name === opened.name))
      throw new UnusableInput(`${path}: parents[${at}]: there is a management device ${opened.name} already`);
    bus.addParent(opened);
  }
  const driverPages = new PageAllocator(ADDON_BYTES, DRIVER_BYTES);
  for (const [at, device] of devices.entries()) addDevice(`${path}: devices[${at}]`, bus, device, memory, driverPages);
  return bus;
}

async function openParent(path: string, host: VdpaHost, parent: SystemFile['parents'][number]) {
  if ('sim' in parent) {
    const { sim: name, pairs, devices, vendor } = parent;
    return simParent(host, {
      name,
      device: { holdWhenFull: true },
      ...(pairs === undefined ? {} : { pairs }),
      ...(devices === undefined ? {} : { devices }),
      ...(vendor === undefined ? {} : { vendorId: vendor }),
    });
  }
  if ('card' in parent) {
    const { card, name, functions } = parent;
    const options = { name, net: { holdWhenFull: true }, ...(functions === undefined ? {} : { functions }) };
    return card === '82599' ? ixgbeParent(host, options) : vendorBParent(host, options);
  }
  const url = pathToFileURL(resolve(dirname(path), parent.module)).href;
  const loaded = await loadParent(url, host);
  if (isVdpaRefusal(loaded)) throw new UnusableInput(`${path}: ${loaded.message}`);
  return loaded;
}

function addDevice(
  where: string,
  bus: VdpaBus,
  { name, mgmtdev, mac, mtu, max_vqp: maxPairs, driver, frames = 0 }: SystemFile['devices'][number],
  memory: HostMemory,
  pages: PageAllocator,
): void {
  const attributes = {
    ...(mac === undefined ? {} : { mac }),
    ...(mtu === undefined ? {} : { mtu }),
    ...(maxPairs === undefined ? {} : { maxPairs }),
  };
  const made = bus.add(name, mgmtdev, attributes);
  if (isVdpaRefusal(made)) throw new UnusableInput(`${where}: ${made.message}`);
  if (frames > 0 && driver !== 'virtio_vdpa')
    throw new UnusableInput(`${where}.frames: is ${frames}, want the driver virtio_vdpa, which sends them`);
  if (driver === undefined) return;
  const bound = bus.bind(name, driver);
  if (isVdpaRefusal(bound)) throw new UnusableInput(`${where}: ${bound.message}`);
  if (driver === 'virtio_vdpa') drive(where, bus, name, frames, memory, pages);
}

/** Have the host's driver bring the device up, and send frames to everyone. */
function drive(
  where: string,
  bus: VdpaBus,
  name: string,
  frames: number,
  memory: HostMemory,
  pages: PageAllocator,
): void {
  const bound = bus.boundTo(name, virtioVdpa)!;
  const { device } = bus.find(name)!;
  const space = new IdentitySpace(memory);
  const transport = bound.open(() => {});
  if (isVdpaRefusal(transport)) throw new UnusableInput(`${where}: ${transport.message}`);
  const dma = guestDma(space, pages, bound.memory(space, new PageAllocator(0x100_0000_0000, DRIVER_BYTES)));
  const events = { frame: () => {} };
  const driver = openNetDriver({ transport, dma, events, pairs: 16, receiveBytes: MIB, now: () => performance.now() });
  if (isBreakdown(driver)) throw new UnusableInput(`${where}: ${driver.message}`);
  const frame = new Uint8Array(FRAME_BYTES).fill(0xff, 0, 6);
  const settle = (): void => {
    while (device.step(BURST) > 0) {
      driver.interrupt();
      while (driver.needsPoll) driver.poll();
    }
  };
  settle();
  for (let sent = 0; sent < frames; sent++) {
    if (driver.sendBytes(frame) !== SENT.OK) throw new UnusableInput(`${where}.frames: the device takes no more`);
    if (sent % BURST === BURST - 1) settle();
  }
  settle();
}
