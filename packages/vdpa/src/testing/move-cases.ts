import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import type { VdpaDevice } from '../vdpa-device.js';
import { VDPA } from '../vdpa-outcome.js';
import { ended, holds, same, withDevice, worked } from './contract-checks.js';
import { CONTROL, ContractDriver, PART, RX, TX } from './contract-driver.js';
import type { ContractCase, MakeContractMachine } from './contract-machine.js';

const PAGE_BYTES = 4096;
/** virtio 1.4 §5.1.9.5.1: class RX, command ALLMULTI, on; and the answer OK. */
const ALLMULTI_ON = [0, 1, 1] as const;
const ACK_OK = 0;

/** What a move needs of a device besides positions: which memory it wrote, and what commands made of it. */
export function moveCases(make: MakeContractMachine, isPacked: boolean): ContractCase[] {
  const ring = isPacked ? 'packed' : 'split';
  const withDriver = (title: string, controlSpace: number | undefined, use: (driver: ContractDriver) => void) => ({
    title: `${title} (${ring})`,
    run: () => {
      const machine = make();
      withDevice(machine, (device) => {
        if (isPacked && !hasFeature(device.deviceFeatures, VIRTIO_F.RING_PACKED)) return;
        const hasControl = [VIRTIO_NET_F.CTRL_VQ, VIRTIO_NET_F.CTRL_RX].every((bit) =>
          hasFeature(device.deviceFeatures, bit),
        );
        if (controlSpace !== undefined && !hasControl) return;
        use(new ContractDriver(machine, device, { isPacked, ...(controlSpace === undefined ? {} : { controlSpace }) }));
      });
    },
  });
  return [
    withDriver(
      'every page that the device wrote is told, once it was asked for, and told anew',
      undefined,
      (driver) => {
        const { device } = driver;
        driver.map();
        driver.start();
        if (!device.abilities.dirty) {
          ended(device.trackDirty(true), VDPA.UNSUPPORTED, 'tracking with a device that cannot');
          return;
        }
        for (let sent = 0; sent < 5; sent++) driver.send();
        driver.settle();
        worked(device.trackDirty(true), 'tracking');
        same(device.takeDirty(), [], 'pages when tracking begins');
        for (let round = 0; round < 4; round++) {
          for (let sent = 0; sent < 7; sent++) driver.send();
          const wrote = changedBy(driver, () => driver.machine.step?.(device, 64) ?? device.step(64));
          holds(wrote.size > 0, 'a device that receives writes memory');
          const told = pagesOf(device);
          for (const page of wrote) holds(told.has(page), `page ${page} of memory was written, and is told`);
          driver.settle();
          device.takeDirty();
        }
        same(device.takeDirty(), [], 'pages of a device that has nothing to do');
        worked(device.trackDirty(false), 'tracking no more');
        driver.send();
        driver.settle();
        same(device.takeDirty(), [], 'pages when nobody tracks');
        same(driver.heard, driver.all, 'frames meanwhile');
      },
    ),
    withDriver('what commands made of the device comes back with its parts', 0, (driver) => {
      const { device } = driver;
      driver.map();
      driver.start();
      if (!device.abilities.typeState) {
        same(device.typeState(), undefined, 'the state of a device that cannot tell');
        ended(device.setTypeState(new Uint8Array(0)), VDPA.UNSUPPORTED, 'a state for a device that takes none');
        return;
      }
      const before = stateOf(device);
      same(driver.command(ALLMULTI_ON), ACK_OK, 'the answer to ALLMULTI');
      worked(device.suspend(), 'suspending');
      const after = stateOf(device);
      holds(before !== after, 'the state tells of the command');
      const states = [RX, TX, CONTROL].map((index) => device.queueState(index)!);
      const parts = device.typeState()!;
      device.reset(device.abilities.keepMaps);
      if (!device.abilities.keepMaps) driver.map();
      driver.negotiate();
      for (const bad of [parts.subarray(0, parts.length - 1), Uint8Array.of(1, 2, 3), mangled(parts)])
        ended(device.setTypeState(bad), VDPA.INVALID, 'a state that cannot be');
      holds(device.problem !== undefined, 'the device says why');
      device.reset(device.abilities.keepMaps);
      if (!device.abilities.keepMaps) driver.map();
      driver.start(states, parts);
      worked(device.suspend(), 'suspending');
      same(stateOf(device) === after, true, 'the state of the device that took the parts');
      worked(device.resume(), 'resuming');
      same(driver.command([0, 1, 0]), ACK_OK, 'the answer to another command');
    }),
  ];
}

/** Another value in the first part's header, of a type that no device has. */
function mangled(parts: Uint8Array): Uint8Array {
  const bad = parts.slice();
  bad[1] = 0x77;
  return bad;
}

const stateOf = (device: VdpaDevice): string => [...(device.typeState() ?? [])].join();

function pagesOf(device: VdpaDevice): Set<number> {
  const pages = new Set<number>();
  for (const { host, bytes } of device.takeDirty())
    for (let at = host; at < host + bytes; at += PAGE_BYTES) pages.add(Math.floor(at / PAGE_BYTES));
  return pages;
}

/** Pages of the driver's memory that a call changed. */
function changedBy(driver: ContractDriver, call: () => void): Set<number> {
  const { memory } = driver.machine;
  const bytes = PART.control.at + PART.control.bytes;
  const from = driver.hostOf(RX, 0);
  const before = memory.u8.slice(from, from + bytes);
  call();
  const pages = new Set<number>();
  for (let at = 0; at < bytes; at++)
    if (memory.u8[from + at] !== before[at]) {
      pages.add(Math.floor((from + at) / PAGE_BYTES));
      at |= PAGE_BYTES - 1;
    }
  return pages;
}
