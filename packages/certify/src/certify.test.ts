import { expect, test } from 'vitest';
import type { CellResult, Certificate } from './certificate.js';
import { backendNames, certify, scenarioNames } from './certify.js';
import type { DriverRefusal, GuestDriver, GuestMachine } from './driver-module.js';
import * as kernel from './drivers/kernel.js';
import * as poll from './drivers/poll.js';
import { loadDriver } from './load-driver.js';
import { statementsOf } from './statements.js';

/** What takes its time is run once. */
const LONG = 'indexes wrap';
const SHORT = scenarioNames.filter((name) => name !== LONG);

const said = ({ cells }: Certificate): string[] =>
  cells.flatMap(({ name, scenarios }) =>
    scenarios.flatMap((one) => one.findings.map(({ id, message }) => `${name}: ${one.name}: ${id}: ${message}`)),
  );
const because = (cell: CellResult): string[] =>
  cell.scenarios.flatMap(({ name, because: why }) => (why === null ? [] : [`${name}: ${why}`]));

const DRIVERS = [
  ['kernel-style', kernel, []],
  [
    'poll-mode',
    poll,
    [
      'suspend and resume: the driver has no suspend',
      'queue reset: the driver has no restart',
      'announcement: the driver does not take GUEST_ANNOUNCE',
      'headers to be refused: the driver does not take GUEST_UDP_TUNNEL_GSO',
    ],
  ],
] as const;
/** Where nothing of the backend's stands in a scenario's way. */
const WHOLE = ['pci', 'mmio', 'sriov-vf'];

test.each(
  DRIVERS.flatMap(([title, driver, skipped]) => backendNames.map((backend) => ({ title, backend, driver, skipped }))),
)(
  'our $title driver passes every cell of $backend and is told nothing, advice included',
  async ({ backend, driver, skipped }) => {
    const certificate = await certify(driver, { backends: [backend], scenarios: SHORT, strict: true });
    expect(said(certificate)).toEqual([]);
    expect(certificate.cells.map(({ outcome, because: why }) => [outcome, why])).toEqual(
      Array(4).fill(['passed', null]),
    );
    expect([certificate.passed, certificate.driver]).toEqual([true, driver.name]);
    const areas = ['basic', 'net', ...(backend === 'mmio' ? ['mmio'] : backend.startsWith('vdpa') ? [] : ['pci'])];
    for (const cell of certificate.cells) {
      // What did not run says why, and nothing else is left out.
      if (WHOLE.includes(backend)) expect(because(cell), cell.name).toEqual(skipped);
      const wanted = statementsOf([...areas, cell.rings]).map(({ id }) => id);
      expect(Object.keys(cell.statements)).toEqual(expect.arrayContaining(wanted));
      expect(Object.values(cell.statements).filter((state) => state === 'kept').length).toBeGreaterThan(45);
    }
  },
);

test('a backend for each way to a device: vendors, a device in a thread, a function that was given away', () => {
  expect(backendNames).toEqual([
    'pci',
    'mmio',
    'thread',
    'sriov-vf',
    'vdpa-sim',
    'vdpa-vp',
    'vdpa-82599',
    'vdpa-vendor-b',
  ]);
});

test.each([
  ['kernel-style', kernel],
  ['poll-mode', poll],
] as const)('our %s driver goes on when indexes of 16 bits begin anew', async (_, driver) => {
  const certificate = await certify(driver, { backends: ['pci'], rings: ['split'], iommu: [true], scenarios: [LONG] });
  expect(certificate.cells[0]!.scenarios.map(({ outcome, findings }) => [outcome, findings])).toEqual([['passed', []]]);
});

test('the same driver twice is told the same, times apart', async () => {
  const options = { backends: ['pci', 'vdpa-sim'], rings: ['packed'], iommu: [false], scenarios: SHORT } as const;
  const once = async (): Promise<unknown> =>
    JSON.parse(JSON.stringify(await certify(kernel, options), (key, value) => (key === 'ms' ? 0 : value)));
  expect(await once()).toEqual(await once());
});

test('a driver that takes no packed rings: the cell is skipped, because of that; the others count', async () => {
  const split = {
    name: 'split alone',
    openDriver: (machine: GuestMachine): GuestDriver | DriverRefusal => {
      const { transport } = machine;
      const known = [0xffff_ffff, ~(1 << 2), 0xffff_ffff, 0xffff_ffff];
      const deviceFeatures = (word: number): number => transport.deviceFeatures(word) & known[word]!;
      return kernel.openDriver({ ...machine, transport: Object.assign(Object.create(transport), { deviceFeatures }) });
    },
  };
  const certificate = await certify(split, { backends: ['mmio'], iommu: [false], scenarios: ['traffic'] });
  expect(certificate.cells.map(({ rings, outcome, because: why }) => [rings, outcome, why])).toEqual([
    ['split', 'passed', null],
    ['packed', 'skipped', 'driver and device do not agree on RING_PACKED'],
  ]);
  expect(certificate.passed).toBe(true);
  const packed = await certify(split, { backends: ['mmio'], rings: ['packed'], iommu: [false] });
  expect(packed.passed).toBe(false);
});

test.each([
  ['backends', { backends: ['isa'] }, 'backends is isa, want one of pci, mmio'],
  ['scenarios', { scenarios: ['luck'] }, 'scenarios is luck, want one of open and stop'],
])('%s that there are not are the caller’s mistake, by name', async (_, options, message) => {
  await expect(certify(kernel, options)).rejects.toThrow(message);
});

test('what a driver cannot be: a module that is none says what is missing', async () => {
  const url = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
  const messages = await Promise.all(
    [
      'file:///none/driver.js',
      url('throw new Error("no licence")'),
      url('export const x = 1'),
      url('export const openDriver = 5'),
      url('export const name = 5; export const openDriver = () => {}'),
    ].map((one) => loadDriver(one)),
  );
  expect(messages.map((one) => ('message' in one ? one.message.slice(one.message.indexOf(' ')) : 'loaded'))).toEqual([
    expect.stringContaining('cannot be loaded'),
    expect.stringContaining('cannot be loaded: no licence'),
    expect.stringContaining('is no driver: openDriver: want a function'),
    expect.stringContaining('is no driver: openDriver: want a function'),
    expect.stringContaining('is no driver: name: '),
  ]);
  const loaded = await loadDriver(new URL('./drivers/kernel.ts', import.meta.url).href);
  expect(loaded).toMatchObject({ name: 'kernel-style virtio-net' });
});

test.each([
  ['nothing', (): unknown => undefined, 'openDriver returned undefined, want a driver'],
  ['an object', () => ({ transmit: 1 }), 'openDriver returned what is no driver: mac: '],
  [
    'a short address',
    () => ({ mac: new Uint8Array(4), transmit: () => false, poll: () => false, stop: () => {} }),
    'openDriver returned what is no driver: mac: want 6 bytes',
  ],
] as const)('openDriver that returns %s fails, and is told what was wanted', async (_, openDriver, message) => {
  const module = { name: 'none', openDriver: openDriver as unknown as typeof kernel.openDriver };
  const certificate = await certify(module, { backends: ['pci'], iommu: [false], scenarios: ['traffic'] });
  expect(certificate.passed).toBe(false);
  expect(said(certificate)[0]).toContain(`driver.opens: ${message}`);
});

test('a driver whose fields throw, or change their form, fails; nothing gets past', async () => {
  const openWith = (mac: () => Uint8Array) => (machine: GuestMachine) => {
    const driver = kernel.openDriver(machine);
    let reads = 0;
    return new Proxy(driver, {
      get: (target, field) => (field === 'mac' && reads++ > 0 ? mac() : Reflect.get(target, field, target)),
    });
  };
  const options = { backends: ['mmio'], rings: ['split'], iommu: [false], scenarios: ['traffic'] } as const;
  const throws = openWith(() => {
    throw new Error('no card');
  });
  expect(said(await certify({ name: 'throws', openDriver: throws }, options))).toEqual([
    'mmio, split, IOMMU off: traffic: driver.survives: mac throws: no card',
  ]);
  const changes = openWith(() => new Uint8Array(3));
  expect(said(await certify({ name: 'changes', openDriver: changes }, options))).toEqual([
    'mmio, split, IOMMU off: traffic: driver.opens: mac is 0,0,0, want 6 bytes',
  ]);
});

test.each(['mmio', 'vdpa-sim'])('a queue that cannot be is a finding on %s, and no error of ours', async (backend) => {
  const openDriver = (machine: GuestMachine): GuestDriver | DriverRefusal => {
    const { transport } = machine;
    const features = Uint32Array.of(0, 1, 0, 0);
    for (const status of [0, 1, 3]) transport.setStatus(status);
    for (const word of [0, 1]) transport.deviceFeatures(word);
    transport.setDriverFeatures(1, 1);
    transport.setStatus(11);
    transport.status();
    transport.enableQueue(0, { size: 0, desc: 2 ** 60, driver: -4096, device: Number.NaN }, features);
    return { refused: 'there is no queue' };
  };
  const options = { backends: [backend], rings: ['split'], iommu: [false], scenarios: ['traffic'] } as const;
  const found = said(await certify({ name: 'nowhere', openDriver }, options)).join('\n');
  expect(found).toContain('ring.split.part-unmapped: queue 0 has size 0 and parts at ');
  expect(found).not.toContain('throws');
});
