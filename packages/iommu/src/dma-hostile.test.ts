import { RESOLVE } from '@ringwire/guest-memory';
import { VIRTQ_DESC } from '@ringwire/virtio-spec';
import { BufferList, ChainBurst, isRefusal, openDeviceQueue, RING_FAULT, TAKE } from '@ringwire/virtqueue';
import { describe, expect, test } from 'vitest';
import { AT, Machine, SOURCE, usedLengths } from './testing/machine.js';

// DMA that is aimed at anything but plain memory, by descriptors, rings and tables. The device answers each buffer with
// the bytes that it is asked. Each row runs over both layouts, with physical addresses and behind an IOMMU whose tables
// let everything through.

const PAGE = 4096;
const LAYOUTS = ['split', 'packed'] as const;
const PATHS = ['direct', 'iommu'] as const;
const EVERY = LAYOUTS.flatMap((layout) => PATHS.map((path) => ({ layout, path })));

function attacked(layout: (typeof LAYOUTS)[number], path: (typeof PATHS)[number]) {
  const machine = new Machine(layout, path);
  const { driver, device } = machine.openPair();
  const list = new BufferList(4);
  const { memory } = machine;
  memory.engine.fill(AT.buffers, 0x41, 64);
  /** One buffer: bytes to send, and room for the answer. @returns what the turn came to, and the used lengths */
  const send = (asked: number, answer: number, length = 64) => {
    list.clear().addReadable(asked, length).addWritable(answer, length);
    driver.add(list, 2);
    driver.publish();
    return { ...device.turn(), used: usedLengths(driver) };
  };
  /** A good buffer is answered. */
  const probe = (): void => {
    memory.engine.fill(AT.buffers + PAGE, 0, 64);
    expect(send(AT.buffers, AT.buffers + PAGE)).toEqual({ taken: 1, written: [64], faults: [], used: [64] });
    expect(memory.u8.subarray(AT.buffers + PAGE, AT.buffers + PAGE + 64).every((byte) => byte === 0x41)).toBe(true);
  };
  /** The buffer is given up: no register was read or written, no byte outside the ring changed. */
  const expectDrop = (asked: number, answer: number, length = 64): void => {
    const before = memory.u8.slice();
    expect(send(asked, answer, length)).toEqual({ taken: 1, written: [0], faults: ['ADDRESS'], used: [0] });
    before.set(memory.u8.subarray(AT.ring, AT.ring + 4 * PAGE), AT.ring);
    expect(Buffer.compare(before, memory.u8)).toBe(0);
    expect(machine.calls).toEqual([]);
    probe();
  };
  return { machine, memory, driver, device, list, send, probe, expectDrop };
}

describe.each(EVERY)('$layout, $path', ({ layout, path }) => {
  test('DM-01: bytes to send in the device’s own notify registers: not read, the device not entered again', () => {
    const { machine, expectDrop } = attacked(layout, path);
    expectDrop(AT.notify, AT.buffers + PAGE, 4);
    expect(machine.map.blocked.window).toBeGreaterThan(0);
  });

  test('DM-02: an answer into the device’s own status register: no reset under the running handler', () => {
    const { machine, device, expectDrop } = attacked(layout, path);
    machine.windows.common.onWrite = () => device.queue.stop();
    expectDrop(AT.buffers, AT.common + 0x14, 1);
    expect(device.queue.ringFault).toBe(0);
  });

  test('DM-03: an answer into the device’s own MSI-X table: unchanged', () => {
    const { machine, expectDrop } = attacked(layout, path);
    const table = new Uint32Array(4);
    machine.windows.msix.onWrite = (offset, value) => {
      table[offset >> 2] = value;
    };
    expectDrop(AT.buffers, AT.msix, 16);
    expect([...table]).toEqual([0, 0, 0, 0]);
  });

  test('DM-04: an answer into another function’s registers: no peer-to-peer write', () => {
    const { expectDrop } = attacked(layout, path);
    expectDrop(AT.buffers, AT.otherBar + 8, 4);
    // Beginning in memory does not help.
    expectDrop(AT.buffers, AT.otherBar - 32, 64);
  });

  test('DM-05: the part of a ring that the device writes in a BAR: the queue does not start', () => {
    const { machine, probe } = attacked(layout, path);
    const refusal = openDeviceQueue({ ...machine.place(), device: AT.otherBar });
    expect(isRefusal(refusal) && refusal.field).toBe('device');
    expect(machine.calls).toEqual([]);
    probe();
  });

  test('DM-06: a descriptor table in the IOMMU’s registers: neither as the ring’s own nor as an indirect one', () => {
    const { machine, memory, driver, device, list, probe } = attacked(layout, path);
    const refusal = openDeviceQueue({ ...machine.place(), desc: AT.iommu });
    expect(isRefusal(refusal) && refusal.field).toBe('desc');
    // The driver's one descriptor points to a table; now it points to registers instead.
    list
      .clear()
      .addReadable(AT.buffers, 8)
      .addReadable(AT.buffers + 8, 8);
    driver.add(list, 0);
    driver.publish();
    memory.view.setBigUint64(AT.ring + VIRTQ_DESC.addr, BigInt(AT.iommu), true);
    expect(device.turn().faults).toEqual(['INDIRECT_ADDRESS']);
    expect(usedLengths(driver)).toEqual([0]);
    expect(machine.calls).toEqual([]);
    probe();
  });

  test('DM-07: two devices whose answers go to each other’s notify registers: one frame, one turn each at most', () => {
    const { machine, memory } = attacked(layout, path);
    const a = machine.openPair(0x3_0000);
    const b = machine.openPair(0x4_0000);
    let turns = 0;
    const run = (pair: typeof a) => (): void => {
      turns++;
      pair.device.turn();
    };
    machine.windows.notify.onWrite = run(a);
    machine.windows.otherBar.onWrite = run(b);
    const list = new BufferList(4);
    a.driver.add(list.clear().addReadable(AT.buffers, 4).addWritable(AT.otherBar, 4), 2);
    b.driver.add(list.clear().addReadable(AT.buffers, 4).addWritable(AT.notify, 4), 2);
    a.driver.publish();
    b.driver.publish();
    const before = memory.u8.slice(AT.buffers, AT.buffers + PAGE);
    machine.map.write(AT.notify, 4, 0);
    machine.map.write(AT.otherBar, 4, 0);
    expect(turns).toBe(2);
    expect([usedLengths(a.driver), usedLengths(b.driver)]).toEqual([[0], [0]]);
    expect(memory.u8.slice(AT.buffers, AT.buffers + PAGE)).toEqual(before);
  });

  test('DM-08: an answer into the interrupt window is never a memory write, and no interrupt either', () => {
    const { machine, expectDrop } = attacked(layout, path);
    expectDrop(AT.buffers, AT.interrupts + 0x1000, 4);
    if (path === 'direct') {
      expect(machine.map.blocked.interrupt).toBe(1);
      return;
    }
    // Nor by a translation that ends there: blocked and recorded, with the requester that did it.
    expect(machine.takeFault()).toBeUndefined();
    machine.domain.map(0x2_0000_0000, AT.interrupts, PAGE, 3);
    expectDrop(AT.buffers, 0x2_0000_0000, 4);
    expect(machine.takeFault()).toEqual({ reason: 0x0e, sourceId: SOURCE, address: 0x2_0000_0000 });
  });

  test('DM-10: bytes to send in read-only memory are read', () => {
    const { memory, send } = attacked(layout, path);
    memory.engine.fill(AT.rom, 0x52, PAGE);
    expect(send(AT.rom + 5, AT.buffers + PAGE, 32)).toMatchObject({ written: [32], faults: [], used: [32] });
    expect(memory.u8.subarray(AT.buffers + PAGE, AT.buffers + PAGE + 32).every((byte) => byte === 0x52)).toBe(true);
  });

  test('DM-11: an answer into read-only memory is not written, not in part either', () => {
    const { machine, expectDrop } = attacked(layout, path);
    expectDrop(AT.buffers, AT.rom + 8, 64);
    // From plain memory into it.
    expectDrop(AT.buffers, AT.rom - 16, 64);
    expect(machine.map.blocked.readOnly).toBeGreaterThanOrEqual(2);
  });

  test('DM-12: a buffer that is unplugged while its frame waits: no access afterwards', () => {
    const { machine, memory, driver, device, list, probe } = attacked(layout, path);
    list
      .clear()
      .addReadable(AT.buffers, 64)
      .addWritable(AT.dimm + PAGE, 64);
    driver.add(list, 2);
    driver.publish();
    // The device looks at the buffer and finds that it has to wait: what it resolved ends with the burst.
    const burst = new ChainBurst(1);
    machine.space.enter();
    expect(device.queue.takeAvailable(burst)).toBe(TAKE.CHAIN);
    device.queue.untake(burst.token[0]!);
    machine.space.leave();
    machine.map.unplug(machine.dimm);
    const before = memory.u8.slice(machine.dimm.host, machine.dimm.host + machine.dimm.size);
    expect(device.turn()).toEqual({ taken: 1, written: [0], faults: ['ADDRESS'] });
    expect(usedLengths(driver)).toEqual([0]);
    expect(memory.u8.slice(machine.dimm.host, machine.dimm.host + machine.dimm.size)).toEqual(before);
    probe();
    // Plugged again, it is memory as any.
    machine.map.plug(machine.dimm);
    driver.add(list, 2);
    driver.publish();
    expect(device.turn()).toEqual({ taken: 1, written: [64], faults: [] });
  });
});

describe.each(LAYOUTS)('%s, behind an IOMMU', (layout) => {
  test('DM-05: a ring that is mapped to a BAR while it runs is a ring fault, and no register is touched', () => {
    const { machine, driver, device, list } = attacked(layout, 'iommu');
    driver.add(list.clear().addReadable(AT.buffers, 4), 1);
    driver.publish();
    machine.domain.unmap(AT.ring + 2 * PAGE, PAGE);
    machine.domain.map(AT.ring + 2 * PAGE, AT.otherBar, PAGE, 3);
    expect(device.turn().taken).toBe(0);
    expect(device.queue.ringFault).toBe(RING_FAULT.UNREACHABLE);
    expect(machine.calls).toEqual([]);
  });

  test('DM-09: an answer into the page tables of the device’s own requester: the next walk goes by what is there then', () => {
    const { machine, memory, send, probe } = attacked(layout, 'iommu');
    const { domain, space } = machine;
    // The lowest table of the module's addresses, and in it the entry of its fourth page: not looked at so far.
    const entryOf = (address: number): number => {
      let table = domain.tables.root;
      for (let level = 4; level > 1; level--) {
        const index = Math.floor(address / 2 ** (12 + 9 * (level - 1))) % 512;
        table = memory.u32[(table >>> 2) + 2 * index]! & ~0xfff;
      }
      return table + 8 * (Math.floor(address / PAGE) % 512);
    };
    const entry = entryOf(AT.dimm + 4 * PAGE);
    expect(memory.u32[entry >>> 2]).toBe(0x4003);
    memory.view.setBigUint64(AT.buffers, BigInt(AT.buffers + 0x5000 + 1), true);
    expect(send(AT.buffers, entry, 8)).toMatchObject({ written: [8], faults: [] });
    space.enter();
    expect(space.resolve(AT.dimm + 4 * PAGE + 8, 4, 1)).toBe(AT.buffers + 0x5008);
    expect(space.resolve(AT.dimm + 4 * PAGE + 8, 4, 2)).toBe(RESOLVE.FAULT);
    space.leave();
    memory.engine.fill(AT.buffers, 0x41, 64);
    probe();
  });

  test('DM-12: a buffer that is unmapped while its frame waits: no access afterwards', () => {
    const { machine, driver, device, list, memory, probe } = attacked(layout, 'iommu');
    driver.add(
      list
        .clear()
        .addReadable(AT.buffers, 64)
        .addWritable(AT.dimm + PAGE, 64),
      2,
    );
    driver.publish();
    const burst = new ChainBurst(1);
    machine.space.enter();
    expect(device.queue.takeAvailable(burst)).toBe(TAKE.CHAIN);
    device.queue.untake(burst.token[0]!);
    machine.space.leave();
    machine.domain.unmap(AT.dimm + PAGE, PAGE);
    const before = memory.u8.slice(machine.dimm.host, machine.dimm.host + machine.dimm.size);
    expect(device.turn()).toEqual({ taken: 1, written: [0], faults: ['ADDRESS'] });
    expect(usedLengths(driver)).toEqual([0]);
    expect(memory.u8.slice(machine.dimm.host, machine.dimm.host + machine.dimm.size)).toEqual(before);
    expect(machine.takeFault()).toEqual({ reason: 5, sourceId: SOURCE, address: AT.dimm + PAGE });
    probe();
  });
});
