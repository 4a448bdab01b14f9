import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ACCESS, HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import {
  addressOf,
  disableVfs,
  enableVfs,
  formatLspciDump,
  msix,
  PciFunction,
  PciPort,
  pciExpress,
  placeBars,
  RootComplex,
  scanBuses,
} from '@ringwire/pci';
import { expect, test } from 'vitest';
import type { FunctionPlace, Personality, PhysicalPlace, VirtualPlace } from './personality.js';
import { SriovNic } from './sriov-nic.js';
import { FIRST_VF, NicStage, PF } from './testing/nic-stage.js';

const memory = HostMemory.create(0x1_0000);
const IDS = { vendorId: 0x8086, subsystemVendorId: 0x8086, subsystemId: 1, revisionId: 1, classCode: 0x02_0000 };
const DOORBELL = 0x100;
const LSPCI = 'lspci';

/** A card with registers of its own kind: a value written to the doorbell is put into memory at 0x40, and interrupts. */
class VendorFunction implements Personality {
  readonly pci: PciFunction;
  readonly name: string;
  private readonly place: FunctionPlace;
  private readonly log: string[];
  private value = 0;
  private mayWork = false;

  constructor(name: string, place: PhysicalPlace | VirtualPlace, log: string[]) {
    this.name = name;
    this.place = place;
    this.log = log;
    const isVirtual = 'seat' in place;
    const doorbell = {
      offset: DOORBELL,
      size: 4,
      read: () => this.value,
      write: (_at: number, _size: number, value: number) => {
        this.value = value;
      },
    };
    this.pci = new PciFunction(
      {
        ...IDS,
        deviceId: 0x10fb,
        bars: [{ index: 0, space: 'memory64', size: 0x4000, regions: [doorbell] }],
        capabilities: [
          msix({ vectors: 3, table: { bar: 0, offset: 0x2000 }, pba: { bar: 0, offset: 0x3000 } }),
          pciExpress({ isVirtual }),
          ...(isVirtual ? [] : [...place.extended, place.virtualFunctions.capability]),
        ],
        ...(isVirtual ? { virtual: place.seat } : {}),
      },
      place.host,
      {
        reset: (kind) => {
          this.value = 0;
          this.log.push(`${name} reset ${kind}`);
        },
        masterChanged: (allowed) => {
          this.mayWork = allowed;
        },
        removed: () => this.log.push(`${name} removed`),
      },
    );
  }

  step(): number {
    if (this.value === 0 || !this.mayWork) return 0;
    const { space } = this.place;
    space.enter();
    const at = space.resolve(0x40, 4, ACCESS.WRITE);
    if (at >= 0) space.memory.u32[at >>> 2] = this.value;
    space.leave();
    this.value = 0;
    this.pci.msix!.raise(1);
    return 1;
  }

  close(): void {
    this.log.push(`${this.name} closed`);
  }
}

function vendorCard() {
  const log: string[] = [];
  const machine = new RootComplex();
  const port = new PciPort({ kind: 'root-port', vendorId: 0x1b36, deviceId: 0x000c });
  const nic = new SriovNic({
    totalVfs: 4,
    vfDeviceId: 0x10ed,
    routing: { first: 0x80, stride: 2 },
    plainRouting: { first: 0x180, stride: 2 },
    vfBars: [{ index: 0, space: 'memory64', size: 0x4000 }],
    physicalId: PF,
    physical: (place) => new VendorFunction('pf', place, log),
    virtual: (place) => new VendorFunction(`vf${place.seat.index}`, place, log),
    openSpace: (id) => {
      log.push(`space ${id.toString(16)}`);
      return Object.assign(new IdentitySpace(memory), { close: () => void log.push(`no space ${id.toString(16)}`) });
    },
    sendMessage: (id, low, _high, data, vector) =>
      log.push(`message of ${id.toString(16)}: ${low.toString(16)}=${data.toString(16)} vector ${vector}`),
  });
  machine.bus.plug(8, port);
  port.secondary.plug(0, nic);
  const found = scanBuses(machine);
  placeBars(machine, found, {
    memory: { base: 0xe000_0000, end: 0xf000_0000 },
    prefetchable: { base: 0x10_0000_0000, end: 0x20_0000_0000 },
    io: { base: 0x1000, end: 0x1_0000 },
  });
  return { log, machine, nic, pf: found[1]! };
}

test('D7: a function with registers of its vendor’s is a personality as a virtio one is: BARs, DMA, messages, reset, end', () => {
  const { log, machine, nic, pf } = vendorCard();
  const vfs = enableVfs(machine, pf, 2);
  expect(log.splice(0)).toEqual(['space 100', 'space 180', 'space 182']);
  const { routingId, bars } = vfs[1]!;
  const base = bars[0]!.address;
  machine.configWrite(routingId, 0x42, 2, 0x8000);
  machine.memoryWrite(base + 0x2010, 4, 0xfee0_1000);
  machine.memoryWrite(base + 0x2018, 4, 0x33);
  machine.memoryWrite(base + 0x201c, 4, 0);
  machine.memoryWrite(base + DOORBELL, 4, 0xabcd);
  // Without bus mastering it does nothing.
  expect([nic.step(1), machine.memoryRead(base + DOORBELL, 4)]).toEqual([0, 0xabcd]);
  machine.configWrite(routingId, 4, 2, 4);
  expect([nic.step(1), memory.u32[0x10], ...log.splice(0)]).toEqual([
    1,
    0xabcd,
    'message of 182: fee01000=33 vector 1',
  ]);
  // Express at 0x4c.
  machine.configWrite(routingId, 0x54, 2, 0x8000);
  disableVfs(machine, pf);
  expect(log).toEqual([
    'vf1 reset function-level',
    ...['vf1 removed', 'vf1 closed', 'no space 182'],
    ...['vf0 removed', 'vf0 closed', 'no space 180'],
  ]);
});

test('functions that go while the card is at work are closed when it has done its step, and do nothing more in it', () => {
  const { log, machine, nic, pf } = vendorCard();
  const vfs = enableVfs(machine, pf, 3);
  const [first, , last] = vfs.map(({ routingId }) => nic.personalityOf((routingId - FIRST_VF) / 2)!);
  let steps = 0;
  last!.step = () => ++steps;
  first!.step = () => {
    disableVfs(machine, pf);
    log.push('still in the step');
    return 1;
  };
  log.length = 0;
  nic.step(1);
  expect([steps, ...log]).toEqual([
    0,
    ...['vf2 removed', 'vf1 removed', 'vf0 removed', 'still in the step'],
    ...['vf2 closed', 'no space 184', 'vf1 closed', 'no space 182', 'vf0 closed', 'no space 180'],
  ]);
});

test('lspci reads a card of virtio functions as it was meant', (context) => {
  const stage = new NicStage(64);
  stage.enable(9);
  const guest = stage.newGuest();
  guest.drive(stage.give(FIRST_VF + 8, guest));
  const folder = mkdtempSync(join(tmpdir(), 'ringwire-lspci-'));
  const dump = [...stage.machine.functions()].map(({ pci, routingId }) =>
    formatLspciDump(addressOf(routingId), pci.config.bytes),
  );
  writeFileSync(join(folder, 'dump'), dump.join(''));
  const { error, stdout } = spawnSync(LSPCI, ['-F', join(folder, 'dump'), '-vvv', '-n'], { encoding: 'utf8' });
  rmSync(folder, { recursive: true });
  if ((error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT')
    return context.skip('skipped, because lspci (Debian: pciutils) is not installed');
  const blocks = stdout.trimEnd().split('\n\n');
  expect(blocks.map((block) => block.split('\n')[0])).toEqual([
    '00:01.0 0604: 1b36:000c (prog-if 00 [Normal decode])',
    '01:00.0 0200: 1af4:1041 (rev 01)',
    ...[0, 1, 2, 3, 4, 5, 6, 7].map((n) => `01:10.${n} 0200: ffff:ffff (rev 01)`),
    '01:11.0 0200: ffff:ffff (rev 01)',
  ]);
  for (const line of [
    'Initial VFs: 64, Total VFs: 64, Number of VFs: 9, Function Dependency Link: 00',
    'VF offset: 128, stride: 1, Device ID: 1041',
    'IOVCtl:	Enable+ Migration- Interrupt- MSE+ ARIHierarchy+ 10BitTagReq-',
    'Vendor Specific Information: VirtIO: CommonCfg',
  ])
    expect(blocks[1]).toContain(line);
  expect(blocks.at(-1)).toContain('Control: I/O- Mem- BusMaster+ SpecCycle-');
  expect(blocks.at(-1)).toContain('MSI-X: Enable+ Count=4 Masked-');
  expect(blocks.at(-1)).not.toContain('Interrupt:');
});
