import { HostMemory } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { BUS_WORDS } from './invalidation-bus.js';
import { type DeviceOptions, Owner, PAGE, REGIONS, RW, SOURCE, WINDOW } from './testing/dma-stage.js';
import { startThread } from './testing/start-thread.js';
import type { SwitchOrder, SwitchOutcome } from './testing/switch-thread.js';
import { REG } from './testing/vtd-bench.js';

const SWITCHES = 30_000;
const CANARY = 0xdead_0000;
/** Words of a region that the device writes: first and last of what it asks for. */
const TOUCHED = [0, PAGE - 8, PAGE + 4, PAGE, 2 * PAGE - 8, 2 * PAGE - 4];

test.each<[string, DeviceOptions]>([
  ['an IOTLB alone', {}],
  ['cached tables', { caches: true }],
  ['an ATC and cached tables', { caches: true, atc: true }],
])(
  'IO-33: translation switched on and off and tables swapped under another thread’s DMA, with %s: no burst mixes two of them, none comes late',
  async (_, options) => {
    const memory = HostMemory.create(0x40_0000);
    const words = new Int32Array(new SharedArrayBuffer(BUS_WORDS * 4));
    const control = new Int32Array(new SharedArrayBuffer(8));
    const owner = new Owner(memory, words);
    const unit = owner.newUnit();
    const roots = [1, 2].map((id) => {
      const domain = owner.domain(id);
      domain.map(WINDOW, REGIONS[id - 1]!, 2 * PAGE, RW);
      const requesters = owner.newRequesters();
      requesters.attach(SOURCE, domain, options.atc === true);
      return requesters.root;
    });
    /** Have the device go by one of {@link REGIONS}. */
    const switchTo = (region: number): void => {
      if (region === 2) {
        unit.write(REG.GCMD, 4, 0);
        return;
      }
      unit.write(REG.RTADDR, 8, BigInt(roots[region]!));
      const enabled = unit.read(REG.GSTS, 4) & 0x8000_0000;
      unit.write(REG.GCMD, 4, (enabled | 0x4000_0000) >>> 0);
      if (enabled === 0) unit.write(REG.GCMD, 4, 0x8000_0000);
    };
    const registers = unit.registers.shared;
    const order: SwitchOrder = { memory: memory.wasm!, words, registers, options, control };
    const device = await startThread<SwitchOutcome>('switch-thread.ts', order);
    Atomics.wait(control, 0, 0, 10_000);
    let late = 0;
    for (const region of REGIONS.slice(0, 2)) for (const at of TOUCHED) memory.u32[(region + at) >>> 2] = CANARY;
    // From off to on and back, and from table to table: each of the six ways there are.
    const way = [0, 1, 2, 1, 0, 2];
    let current = 2;
    for (let i = 0; i < SWITCHES; i++) {
      const next = way[i % way.length]!;
      // What was left last time has had this long to change.
      for (const at of TOUCHED) if (Atomics.load(memory.u32, (REGIONS[next]! + at) >>> 2) !== CANARY) late++;
      const left = REGIONS[current]!;
      switchTo(next);
      for (const at of TOUCHED) memory.u32[(left + at) >>> 2] = CANARY;
      current = next;
      // Now and then the device has time for whole bursts.
      if (i % 16 === 0) {
        const bursts = Atomics.load(control, 1);
        while (Atomics.load(control, 1) === bursts) Atomics.wait(control, 1, bursts, 1);
      }
    }
    Atomics.store(control, 0, 2);
    const { whole, mixed, refused } = await device.ended;
    expect({ mixed, refused, late }).toEqual({ mixed: 0, refused: 0, late: 0 });
    for (const bursts of whole) expect(bursts).toBeGreaterThan(100);
  },
  120_000,
);
