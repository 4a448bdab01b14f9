import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { checkVtdSet, runVtdSet } from './testing/vtd-golden-check.js';
import type { VtdExpectation, VtdPages, VtdSetFiles } from './testing/vtd-golden-set.js';

const SETS = fileURLToPath(new URL('../../../golden/sets/', import.meta.url));

function load(name: string): VtdSetFiles {
  const expected: VtdExpectation = JSON.parse(readFileSync(`${SETS}${name}/expected.json`, 'utf8'));
  const pages: VtdPages = JSON.parse(readFileSync(`${SETS}${name}/pages.json`, 'utf8'));
  return { expected, pages, bytes: readFileSync(`${SETS}${name}/pages.bin`) };
}

const names = readdirSync(SETS).filter((name) => name.startsWith('vtd'));

test('the recorded sets are there', () => {
  expect(names.length).toBeGreaterThanOrEqual(8);
});

describe.each(names)('%s', (name) => {
  const files = load(name);

  test('the unit agrees with every probe, mutation and mapping', () => {
    const { differences, compared } = runVtdSet(files);
    expect(differences).toEqual([]);
    const { probes, mutations, kernel_maps, live_translations } = files.expected;
    expect({ mutations: undefined, 'kernel_maps.live': undefined, ...compared }).toMatchObject({
      probes: probes?.length,
      mutations: mutations?.length,
      'kernel_maps.live': kernel_maps?.live?.length,
    });
    expect(compared).toMatchObject(
      live_translations?.list.length ? { live_translations: live_translations.list.length } : {},
    );
  });

  test('one changed table bit shows', () => {
    const bytes = files.bytes.slice();
    const { RTADDR } = files.expected.registers;
    const root = files.pages.pages.find(({ gpa }) => gpa === RTADDR?.value.replace(/400$/, '000'));
    const at = root!.offset;
    bytes[at] = bytes[at]! ^ 1;
    expect(checkVtdSet({ ...files, bytes }).length).toBeGreaterThan(0);
  });
});

describe('a wrong statement shows, once', () => {
  const files = load('vtd-legacy-aw39-split');
  const superpages = load('vtd-vfio-aw39-superpages');
  const { probes, mutations, kernel_maps: maps, live_translations: live, devices, registers } = files.expected;
  const faultAt = probes!.findIndex(({ result }) => result === 'fault');
  const okAt = probes!.findIndex(({ result }) => result === 'ok');

  test.each<[string, Partial<VtdExpectation>]>([
    ['a page', { probes: probes!.with(okAt, { ...probes![okAt]!, pa: '0x1000' }) }],
    ['a page mask', { probes: probes!.with(okAt, { ...probes![okAt]!, page_mask: '0x1fffff' }) }],
    ['a reason', { probes: probes!.with(faultAt, { ...probes![faultAt]!, reason: 7 }) }],
    ['a record', { probes: probes!.with(faultAt, { ...probes![faultAt]!, frcd_lo: '0x1000' }) }],
    ['a status', { probes: probes!.with(faultAt, { ...probes![faultAt]!, fsts: '0x3' }) }],
    ['a mutation', { mutations: mutations!.with(0, { ...mutations![0]!, edits: [] }) }],
    ['a mapping', { kernel_maps: { ...maps, live: maps!.live!.with(3, [maps!.live![3]![0], '0x1000']) } }],
    ['a mapping that is none', { kernel_maps: { ...maps, live: [['0x1000', '0x1000']] } }],
    ['a translation', { live_translations: { list: live!.list.with(3, [24, live!.list[3]![1], '0x1000', '0xfff']) } }],
    ['a device', { devices: devices!.with(1, { source_id: 0x77 }) }],
    ['a domain', { devices: devices!.with(1, { ...devices![1]!, domain: 9 }) }],
  ])('%s', (_, changed) => {
    expect(checkVtdSet({ ...files, expected: { ...files.expected, ...changed } })).toHaveLength(1);
  });

  test('an unmapped page that is mapped shows for each access', () => {
    const unmapped_before = [maps!.live![0]![0]];
    const expected = { ...files.expected, kernel_maps: { unmapped_before } };
    expect(checkVtdSet({ ...files, expected }).length).toBeGreaterThan(0);
  });

  test('rights of a VFIO mapping', () => {
    const [iova, pa, size] = superpages.expected.vfio_maps!.list[0]!;
    const expected: VtdExpectation = { ...superpages.expected, vfio_maps: { list: [[iova, pa, size, 1]] } };
    expect(checkVtdSet({ ...superpages, expected })).toHaveLength(Number(BigInt(size) / 4096n));
  });

  test('text that is no number is an error of the set', () => {
    const { FSTS } = registers;
    const damaged = { ...files.expected, registers: { ...registers, FSTS: { ...FSTS!, value: 'none' } } };
    expect(() => checkVtdSet({ ...files, expected: damaged })).toThrow(/registers.FSTS.value is none/);
  });
});
