import { HostMemory, PageAllocator } from '@ringwire/guest-memory';
import { FrameQueue, type FrameSink, LoopbackBackend, type NetBackend } from '@ringwire/net-backend';
import { isVdpaRefusal, VDPA, type VdpaHost } from '@ringwire/vdpa';
import { CONTRACT_RAM_BYTES, vdpaContract } from '@ringwire/vdpa/testing';
import { expect, test } from 'vitest';
import type { FunctionParent } from './function-parent.js';
import { ixgbeParent } from './ixgbe-parent.js';
import { vendorBParent } from './vendor-b-parent.js';

const HOST_BYTES = 0x400_0000;
const memory = HostMemory.create(HOST_BYTES + CONTRACT_RAM_BYTES);
const host: VdpaHost = { memory, pages: new PageAllocator(0, HOST_BYTES), now: () => 0 };

/** Cables that come back to where they began, one for each function. */
function cables(): (place: number) => NetBackend {
  const made = new Map<number, NetBackend>();
  return (place) => {
    let cable = made.get(place);
    if (cable === undefined) {
      const frames = new FrameQueue(memory, host.pages.allocate(0x2_0000), 0x2_0000, 64);
      cable = place < 0 ? nothing() : new LoopbackBackend(frames);
      made.set(place, cable);
    }
    return cable;
  };
}
const nothing = (): NetBackend => ({
  offloads: 0,
  attach: (_sink: FrameSink | undefined) => {},
  receive: () => 2,
  pump: () => 0,
});

const PARENTS: readonly (readonly [string, FunctionParent])[] = [
  [
    'vendor B',
    vendorBParent(host, { name: 'pci/0000:01:00.0', functions: 2, backend: cables(), net: { holdWhenFull: true } }),
  ],
  [
    '82599',
    ixgbeParent(host, { name: 'pci/0000:02:00.0', functions: 2, backend: cables(), net: { holdWhenFull: true } }),
  ],
];

for (const [name, parent] of PARENTS) {
  for (const { title, run } of vdpaContract(name, () => ({ parent, memory, ram: HOST_BYTES }))) test(title, run);

  test(`${name}: a device for each function, with the address that was asked for; what cannot be chosen is refused`, () => {
    const mac = Uint8Array.of(2, 7, 7, 7, 7, 7);
    const first = parent.add('a', { mac });
    const second = parent.add('b', {});
    if (isVdpaRefusal(first) || isVdpaRefusal(second)) throw new Error('refused');
    expect(first.readConfig(0, 6)).toEqual(mac);
    expect(second.readConfig(0, 6)).not.toEqual(mac);
    expect(parent.add('c', {})).toMatchObject({
      outcome: VDPA.NO_ROOM,
      message: expect.stringContaining('no room for c'),
    });
    expect([first, second].map((device) => parent.placeOf(device))).toEqual([0, 1]);
    parent.remove(first);
    expect(parent.add('c', { mtu: 9000 })).toMatchObject({ outcome: VDPA.UNSUPPORTED });
    expect(parent.add('c', { mac: Uint8Array.of(1, 0, 0, 0, 0, 0) })).toMatchObject({ outcome: VDPA.INVALID });
    const again = parent.add('c', {});
    if (isVdpaRefusal(again)) throw new Error(again.message);
    expect(again.readConfig(0, 6)).not.toEqual(mac);
    for (const device of [second, again]) parent.remove(device);
  });

  test(`${name}: what a device had mapped its function does not reach once it was removed, and the next one maps anew`, () => {
    const mapping = { iova: 0x10_0000, bytes: 0x1000, host: HOST_BYTES, access: 3 };
    for (const name of ['a', 'b']) {
      const device = parent.add(name, {});
      if (isVdpaRefusal(device)) throw new Error(device.message);
      // Its owner is gone: nobody resets it.
      expect(device.map(0, mapping)).toBe(VDPA.OK);
      parent.remove(device);
    }
    const next = parent.add('c', {});
    if (isVdpaRefusal(next)) throw new Error(next.message);
    expect(next.map(0, mapping)).toBe(VDPA.OK);
    parent.remove(next);
  });
}

test.each([0, 9, 1.5])('%s functions are the caller’s mistake, by name', (functions) => {
  for (const open of [ixgbeParent, vendorBParent])
    expect(() => open(host, { name: 'pci/0000:03:00.0', functions })).toThrow(`functions is ${functions}, want 1 to 8`);
});
