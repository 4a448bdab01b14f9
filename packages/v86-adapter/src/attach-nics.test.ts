import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { NullBackend } from '@ringwire/net-backend';
import { V86 } from 'v86';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { attachNics, type V86Machine } from './attach-nics.js';
import type { V86Cpu } from './v86-parts.js';

const wasm_path = join(dirname(createRequire(import.meta.url).resolve('v86/package.json')), 'build/v86.wasm');
const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
const card = (slot: number): { mac: Uint8Array; port: NullBackend; slot: number } => ({
  mac,
  port: new NullBackend(),
  slot,
});
const BAR = 0xfe00_8000;

let emulator: V86;
let cpu: V86Cpu;
let machine: V86Machine;

/** A v86 as it comes from npm, loaded and not running. */
async function loaded(): Promise<V86> {
  const made = new V86({ wasm_path, memory_size: 16 << 20, vga_memory_size: 1 << 20, autostart: false });
  await new Promise<void>((resolve) => made.add_listener('emulator-loaded', () => resolve()));
  return made;
}
/** v86 trips over BARs of its own IDE controller in a state that no BIOS has been at: they are left out. */
function withoutOwnBars(one: V86): V86 {
  Object.assign(cpuIn(one).devices.pci, { set_state: () => {} });
  return one;
}
const cpuIn = (one: V86): V86Cpu => (one as unknown as { v86: { cpu: V86Cpu } }).v86.cpu;

beforeAll(async () => {
  emulator = await loaded();
  cpu = cpuIn(emulator);
  machine = attachNics(emulator, [card(16), card(20)]);
});

afterAll(() => emulator.destroy());

/** A configuration cycle by the ports of a PC. */
function config(slot: number, offset: number, value?: number): number {
  cpu.devices.pci.pci_addr32[0] = 0x8000_0000 | (slot << 11) | (offset & 0xfc);
  const port = cpu.io.ports[0xcfc + (offset & 3)]!;
  if (value === undefined) return port.read32.call(port.device, 0xcfc) >>> 0;
  port.write32.call(port.device, value);
  return value;
}

test('cards answer in their slots, and v86\u2019s own functions in theirs', () => {
  expect([config(16, 0), config(20, 0)]).toEqual([0x1041_1af4, 0x1041_1af4]);
  expect(machine.nics.map(({ slot }) => slot)).toEqual([16, 20]);
  expect(cpu.devices.pci.devices[16 << 3]).toBeDefined();
});

test('registers are where the BAR is, in a block with another card and with who answered there before', () => {
  const block = BAR >>> 17;
  const before = cpu.memory_map_read32[block]!(BAR);
  config(16, 0x10, BAR);
  config(16, 0x04, 6);
  config(20, 0x10, BAR + 0x8000);
  config(20, 0x04, 6);
  // num_queues is at 0x12 of the common configuration: receive, transmit, control.
  for (const at of [BAR, BAR + 0x8000]) {
    expect(cpu.memory_map_read32[block]!((at + 0x10) | 0)).toBe(0x0003_ffff);
    cpu.mmap_write16((at + 0x16) | 0, 1);
    expect(cpu.memory_map_read8[block]!((at + 0x16) | 0)).toBe(1);
  }
  expect(cpu.memory_map_read32[block]!((BAR + 0x1_8000 - 0x8000) | 0)).not.toBe(0x0003_ffff);
  config(16, 0x04, 0);
  expect(cpu.memory_map_read32[block]!(BAR)).toBe(before);
});

test('registers in I/O space: cards on top of each other go apart, and none is beyond the ports of a PC', async () => {
  const other = await loaded();
  const { io } = cpuIn(other);
  const { nics } = attachNics(other, [
    { ...card(16), registers: 'io' },
    { ...card(17), registers: 'io' },
  ]);
  const place = (index: number, at: number, command: number): void => {
    nics[index]!.nic.configWrite(0x10, 4, at);
    nics[index]!.nic.configWrite(0x04, 2, command);
  };
  // num_queues and the vector of the configuration, as above.
  const read = (port: number): number => io.ports[port]!.read32.call(io.ports[port]!.device, port);
  const nobody = read(0xc010);
  place(0, 0xc000, 5);
  place(1, 0xc000, 5);
  expect([read(0xc010), read(0xd010)]).toEqual([0x0003_ffff, nobody]);
  place(0, 0xd000, 4);
  expect([read(0xc010), read(0xd010)]).toEqual([0x0003_ffff, nobody]);
  place(0, 0xd000, 5);
  place(1, 0xc000, 4);
  expect([read(0xc010), read(0xd010)]).toEqual([nobody, 0x0003_ffff]);
  const ports = io.ports.length;
  for (const at of [0xff_ff80, 0xffff_ff80]) place(0, at, 5);
  expect([io.ports.length, read(0xd010)]).toEqual([ports, nobody]);
  await other.destroy();
});

test('a state has the cards in it, is taken by another machine, and refused by name where a card has none', async () => {
  config(16, 0x10, BAR);
  const state = (await emulator.save_state()) as ArrayBuffer;
  const other = withoutOwnBars(await loaded());
  const { nics } = attachNics(other, [card(16), card(20)]);
  await other.restore_state(state);
  expect(nics[0]!.nic.configRead(0x10, 4) & ~0xf).toBe(BAR | 0);
  await other.destroy();
  const third = withoutOwnBars(await loaded());
  attachNics(third, [card(16), card(21)]);
  await expect(third.restore_state(state)).rejects.toThrow('the card in slot 21 was reset: there is none in the state');
  await third.destroy();
});

test('cards of two calls are in one state', async () => {
  const made = async (): Promise<[V86, readonly V86Machine[]]> => {
    const one = withoutOwnBars(await loaded());
    return [one, [16, 20].map((slot) => attachNics(one, [card(slot)]))];
  };
  const [from, before] = await made();
  for (const [index, { nics }] of before.entries()) nics[0]!.nic.configWrite(0x10, 4, BAR + index * 0x8000);
  const [to, after] = await made();
  await to.restore_state((await from.save_state()) as ArrayBuffer);
  expect(after.map(({ nics }) => nics[0]!.nic.configRead(0x10, 4) & ~0xf)).toEqual([BAR | 0, (BAR + 0x8000) | 0]);
  for (const one of [from, to]) await one.destroy();
});

test('a slot that is taken, and a v86 that is made otherwise, are errors that say so', async () => {
  expect(() => attachNics(emulator, [card(16)])).toThrow(/^slot is 16, want a free one/);
  const strange = {
    is_running: () => false,
    v86: { cpu: { ...cpu, devices: cpu.devices, jit_dirty_cache: undefined } },
  };
  expect(() => attachNics(strange, [])).toThrow(
    /^cpu\.(\w|\.)+ is undefined, want function, as in v86 0\.5\.455 to 0\.5\.462/,
  );
});

test('where one of several cards cannot be, none is plugged in: ports are free, and v86 is as it was', async () => {
  const other = await loaded();
  const own = cpuIn(other);
  const partsOf = (cpu: V86Cpu): unknown[] => {
    const { run_hardware_timers, reboot_internal, mmap_write16, get_state, set_state } = cpu;
    const others = [cpu.io.ports[0xcfc], cpu.devices.pci.raise_irq];
    return [run_hardware_timers, reboot_internal, mmap_write16, get_state, set_state, ...others];
  };
  const parts = partsOf(own);
  const plugged: boolean[] = [];
  const port = Object.assign(new NullBackend(), { attach: (device?: object) => plugged.push(device !== undefined) });
  const first = { ...card(16), port };
  expect(() => attachNics(other, [first, card(16)])).toThrow(/^slot is 16, want a free one/);
  expect(plugged).toEqual([]);
  expect(() => attachNics(other, [first, { ...card(17), mtu: 1 }])).toThrow(/^mtu is 1/);
  expect(plugged).toEqual([true, false]);
  expect([own.devices.pci.devices[16 << 3], own.devices.pci.devices[17 << 3]]).toEqual([undefined, undefined]);
  for (const [index, part] of partsOf(own).entries()) expect(part).toBe(parts[index]);
  attachNics(other, [first, card(17)]);
  expect(plugged).toEqual([true, false, true]);
  await other.destroy();
});

test('a guest that sleeps is woken once for what its cards do not know of, until they have looked', async () => {
  const other = await loaded();
  const own = cpuIn(other);
  let woken = 0;
  own.stop_idling = () => woken++;
  const woke = attachNics(other, [card(16)]);
  let steps = 0;
  woke.nics[0]!.nic.step = () => ++steps < 0;
  woke.wake();
  woke.wake();
  expect([woken, steps]).toEqual([1, 0]);
  own.run_hardware_timers(0, 0);
  own.run_hardware_timers(0, 0);
  woke.wake();
  expect([woken, steps]).toEqual([2, 1]);
  await other.destroy();
});
