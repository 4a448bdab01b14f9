import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { EntropyModel, explainDevice, snapshotFiles, VirtioMmio } from '@ringwire/virtio-device';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LoopedMachine } from './looped-machine.js';
import { MISTAKES } from './mistakes.js';
import { ringwire } from './testing/command.js';

const root = mkdtempSync(join(tmpdir(), 'ringwire-explain-'));
const RINGS = ['split', 'packed'] as const;
const folderOf = (rings: (typeof RINGS)[number], mistake = 'none'): string => join(root, `${rings}-${mistake}`);

beforeAll(async () => {
  for (const rings of RINGS) {
    const packed = rings === 'packed' ? ['--packed'] : [];
    await ringwire('record', folderOf(rings), '--frames', '40', ...packed);
    for (const mistake of Object.keys(MISTAKES))
      await ringwire('record', folderOf(rings, mistake), '--frames', '40', '--mistake', mistake, ...packed);
  }
});
afterAll(() => rmSync(root, { recursive: true }));

describe.each(RINGS)('a saved device with %s rings:', (rings) => {
  test('at rest nothing is wrong, exit code 0', async () => {
    const { code, out, err } = await ringwire('explain', folderOf(rings));
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^virtio NET device over PCI, running\n {2}status +0xf +ACKNOWLEDGE \| DRIVER \| DRIVER_OK/);
    expect(out).toMatch(
      rings === 'split' ? / {2}1 +256 +split +40 +0 +40 +40 +2\n/ : /packed +slot 40, wrap 1 +0 +40 +40/,
    );
    expect(out).toContain('Queue 1: The driver has published nothing since');
    expect(out).toMatch(/\nNo problem found\.\n$/);
    expect(out).not.toContain('\u001b');
  });

  test.each([
    ['bus-master', 'The function may do no DMA: bus mastering is off.'],
    ['function-mask', 'MSI-X vector 1 of queue 0 is pending: the function is masked.'],
    ['link', 'The link is down: frames are dropped in both directions.'],
  ])('%s is a problem, exit code 1', async (mistake, sentence) => {
    const { code, out } = await ringwire('explain', folderOf(rings, mistake));
    expect(code).toBe(1);
    expect(out).toContain(`\nProblems (1)\n  - ${sentence}\n`);
    expect(out).toMatch(/\n1 problem\.\n$/);
  });

  test('a ring that is no ring is named by its clause, with the byte in the file', async () => {
    const { code, out } = await ringwire('explain', folderOf(rings, 'ring'));
    expect(code).toBe(1);
    const [fault, id] =
      rings === 'split' ? ['AVAIL_INDEX', 'ring.split.avail-ahead'] : ['ENDLESS_CHAIN', 'drv.packed.scatter-gather.2'];
    expect(out).toContain(`  - The device needs a reset: queue 1 cannot be trusted: ${fault}.\n`);
    expect(out).toContain(`  - Queue 1: ${id} (virtio 1.4 §`);
    expect(out).toMatch(/\n {4}at 0x[0-9a-f]+ \(pages\.bin\+0x[0-9a-f]+\)\n/);
  });

  test('a kick that is due is how things stand', async () => {
    const { code, out } = await ringwire('explain', folderOf(rings, 'no-notification'));
    expect(code).toBe(0);
    expect(out).toContain('\nHow things stand\n');
    expect(out).toMatch(/Queue 1: 1 element is pending from .*40/);
    expect(out).toContain('Queue 1: A kick is due: ');
  });

  test('--json: reasons with level, queue and clause, under a schema with a number', async () => {
    const { code, out } = await ringwire('explain', folderOf(rings, 'ring'), '--json');
    expect(code).toBe(1);
    const report = JSON.parse(out);
    expect(report).toMatchObject({ schema: 'ringwire.explain/1', deviceType: 'NET', status: 0x4f, live: false });
    expect(report.reasons[0]).toMatchObject({ level: 'problem', queue: null, clause: null });
    expect(report.reasons[1]).toMatchObject({ level: 'problem', queue: 1, clause: { by: 'driver' } });
    expect(report.reasons[1].clause.file_offset).toBeGreaterThanOrEqual(0);
    expect(report.problems).toBe(report.reasons.length);
  });

  test('the pages are what ringwire check reads', async () => {
    const saved = JSON.parse(readFileSync(join(folderOf(rings, 'no-notification'), 'device.json'), 'utf8'));
    const { desc, driver, device, size, position } = saved.queues[1];
    const { lastAvailIdx, lastAvailWrapCounter: wrap } = position;
    const place = ['--desc', desc, '--driver', driver, '--device', device, '--size', `${size}`];
    place.push('--features', saved.accepted.bits, '--last-avail', `${lastAvailIdx}`);
    if (wrap !== undefined) place.push('--wrap', `${wrap}`);
    const pages = join(folderOf(rings, 'no-notification'), 'pages.json');
    const { code, out } = await ringwire('check', pages, `--${rings}`, ...place);
    expect(code).toBe(0);
    expect(out).toContain('Pending: 1 elements');
  });
});

test.each(RINGS)('the files of a %s device say what the device says', async (rings) => {
  const machine = new LoopedMachine({ packed: rings === 'packed' });
  machine.send(60);
  machine.settle();
  MISTAKES['function-mask']!.make(machine);
  const { out } = await ringwire('explain', folderOf(rings, 'function-mask'), '--json');
  const { reasons } = JSON.parse(out);
  const own = explainDevice(machine.virtio.device);
  expect(reasons).toHaveLength(own.length);
  expect(own).toContain(reasons.find(({ level }: { level: string }) => level === 'problem').text);
});

test('a device over MMIO of a type that has nothing to add', async () => {
  const space = new IdentitySpace(HostMemory.create(0x1_0000));
  const model = new EntropyModel((bytes) => bytes.fill(1));
  const mmio = new VirtioMmio({ model, space, interrupt: () => {} });
  for (const status of [1, 3, 7]) mmio.write(0x70, 4, status);
  const folder = join(root, 'mmio');
  mkdirSync(folder);
  for (const [name, content] of Object.entries(snapshotFiles(mmio.device))) writeFileSync(join(folder, name), content);
  const { code, out } = await ringwire('explain', folder);
  expect(code).toBe(1);
  expect(out).toContain('virtio RNG device over MMIO, not running\n  status             0x3  ACKNOWLEDGE | DRIVER\n');
  expect(out).toContain(
    [
      'Problems (3)',
      '  - A status bit was ignored: DRIVER_OK was written before FEATURES_OK (virtio 1.4 §3.1.1).',
      '  - DRIVER_OK is not set: the status is 0x3 (ACKNOWLEDGE | DRIVER).',
      '  - Queue 0: it is not enabled.',
    ].join('\n'),
  );
});

describe('exit code 2: a damaged snapshot says what is wrong and where', () => {
  let copies = 0;
  /** A copy of a saved device with its files changed. */
  function damaged(file: string, change: (text: string) => string | Uint8Array | undefined): string {
    const folder = join(root, `damaged-${copies++}`);
    cpSync(folderOf('split'), folder, { recursive: true });
    const path = join(folder, file);
    const content = change(readFileSync(path, 'latin1'));
    if (content === undefined) rmSync(path);
    else writeFileSync(path, content);
    return folder;
  }
  const swap =
    (from: string | RegExp, to: string) =>
    (text: string): string => {
      const changed = text.replace(from, to);
      if (changed === text) throw new Error(`${from} is not in the file`);
      return changed;
    };

  test.each([
    ['no device.json', 'device.json', () => undefined, /device\.json cannot be read: no such file/],
    ['a cut one', 'device.json', (text: string) => text.slice(0, 200), /device\.json is no valid JSON: /],
    [
      'NX-07: a key that is an object’s behaviour',
      'device.json',
      swap('"counters"', '"__proto__": {}, "counters"'),
      /device\.json is no valid JSON: the key "__proto__" at character \d+/,
    ],
    [
      'NX-08: nested without end',
      'device.json',
      () => '['.repeat(100_000),
      /device\.json is no valid JSON: nested more than 64 deep at character 64/,
    ],
    [
      'NX-08: a number of 10000 digits',
      'pages.json',
      swap(/"page_size": \d+/, `"page_size": ${'4'.repeat(10_000)}`),
      /pages\.json is no valid JSON: a number of 10000 characters at character \d+/,
    ],
    [
      'NX-08: a key twice',
      'device.json',
      swap('"live"', '"live": true, "live"'),
      /device\.json is no valid JSON: the key "live" twice in one object, again at character \d+/,
    ],
    [
      'another version',
      'device.json',
      swap('ringwire.device/1', 'ringwire.device/2'),
      /device\.json: schema: .*ringwire\.device\/1/,
    ],
    ['a missing field', 'device.json', swap('"live": true,', ''), /device\.json: live: /],
    [
      'an address that is none',
      'device.json',
      swap(/"desc": "0x/, '"desc": "0q'),
      /queues\[0\]\.desc: want a hex number/,
    ],
    ['a queue size beyond the spec', 'device.json', swap('"size": 256', '"size": 70000'), /queues\[0\]\.size: .*32768/],
    [
      'an enabled queue without a layout',
      'device.json',
      swap('"layout": "split"', '"layout": null'),
      /queues\[0\]\.layout: want split or packed/,
    ],
    [
      'a position of the other layout',
      'device.json',
      swap('"layout": "split"', '"layout": "packed"'),
      /queues\[0\]\.position: want the position of a packed one/,
    ],
    ['a queue at the wrong place', 'device.json', swap('"index": 1', '"index": 7'), /queues\[1\]\.index: is 7, want 1/],
    ['an unknown transport', 'device.json', swap('"kind": "pci"', '"kind": "ccw"'), /device\.json: transport\.kind: /],
    [
      'text that steers a terminal',
      'device.json',
      swap('"resetReason": null', '"resetReason": "\\u001b[2J"'),
      /device\.json: resetReason: want text without control characters/,
    ],
    ['no pages', 'pages.json', () => undefined, /pages\.json cannot be read: no such file/],
    [
      'pages without the ring',
      'pages.json',
      () => '{"page_size":4096,"pages":[]}',
      /device\.json: queues\[0\]\.desc: the descriptor table is 4096 bytes at 0x\w+; pages\.json lists no page with/,
    ],
    [
      'cut pages',
      'pages.bin',
      (text: string) => Buffer.from(text, 'latin1').subarray(0, 5000),
      /pages\.bin ends at offset 5000, and pages\[1\] .* wants bytes 4096 to 8191/,
    ],
  ])('%s', async (_, file, change, message) => {
    const { code, out, err } = await ringwire('explain', damaged(file, change));
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(message);
  });

  test('whatever bytes the files are, there is an exit code and a sentence', async () => {
    for (let at = 0; at < 6000; at += 97) {
      const folder = damaged('device.json', (text) => `${text.slice(0, at)}\u0000${text.slice(at + 3)}`);
      const { code, err } = await ringwire('explain', folder);
      if (code === 2) expect(err).toMatch(/^ringwire: .*device\.json/);
      rmSync(folder, { recursive: true });
    }
  });
});
