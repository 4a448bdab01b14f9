import { expect, test } from 'vitest';
import { LegacyCommands, type LegacyNotify } from './legacy-commands.js';
import { AdminStage, text } from './testing/admin-stage.js';

const OK = '0000000000000000';
const staged = (): { stage: AdminStage; legacy: LegacyCommands } => {
  const stage = new AdminStage().begin();
  return { stage, legacy: new LegacyCommands(stage.client.sriov) };
};

test('drv.admin.legacy.1,.2: common configuration, field by field, little-endian', () => {
  const { stage, legacy } = staged();
  const values: number[] = [];
  stage.script.push(`${OK} 78563412`, `${OK} cdab`, `${OK} 0f`, OK, OK);
  // Device features, queue size, device status.
  for (const offset of [0, 12, 18]) legacy.readCommon(3, offset, (value) => values.push(value));
  stage.settle();
  legacy.writeCommon(3, 8, 0x1234_5678, () => {});
  legacy.writeCommon(3, 16, 0x0102, () => {});
  stage.settle();
  expect(values).toEqual([0x1234_5678, 0xabcd, 0x0f]);
  expect(stage.asked.map(({ opcode, member, data, room }) => [opcode, member, text(data), room])).toEqual([
    [3, 3, '0000000000000000', 16],
    [3, 3, '0c00000000000000', 16],
    [3, 3, '1200000000000000', 16],
    [2, 3, '08000000000000007856341200000000', 8],
    [2, 3, '10000000000000000201000000000000', 8],
  ]);
  for (const offset of [1, 2, 13, 24, 0x100, -1]) {
    expect(() => legacy.readCommon(3, offset, () => {})).toThrow(`offset is ${offset}`);
    expect(() => legacy.writeCommon(3, offset, 0, () => {})).toThrow(`offset is ${offset}`);
  }
});

test('drv.admin.legacy.1,.3: device configuration, field by field, little-endian', () => {
  const { stage, legacy } = staged();
  const values: number[] = [];
  stage.script.push(`${OK} 34120000`, OK, '1600030000000000');
  legacy.readConfig(1, 6, 2, (value) => values.push(value));
  legacy.writeConfig(1, 0, 1, 0x52, () => {});
  legacy.readConfig(1, 6, 4, (value, { status }) => values.push(value, status));
  stage.settle();
  expect(values).toEqual([0x1234, 0, 22]);
  expect(stage.asked.slice(0, 2).map(({ opcode, data }) => [opcode, text(data)])).toEqual([
    [5, '0600000000000000'],
    [4, '00000000000000005200000000000000'],
  ]);
});

test('drv.admin.legacy.5,.6,.7: of NOTIFY_INFO only what can be, up to the end of the list', () => {
  const { stage, legacy } = staged();
  const entry = (flags: string, bar: string, offset: string): string => `${flags}${bar}000000000000${offset}`;
  const bars = (of: LegacyNotify['of'], bar: number): number => (of === 'owner' ? (bar === 2 ? 0x1000 : 0) : 0x4000);
  const ask = (...entries: readonly string[]): readonly LegacyNotify[] => {
    let places: readonly LegacyNotify[] = [];
    stage.script.push(`${OK} ${entries.join('')}`);
    expect(
      legacy.notifyInfo(1, bars, (found) => {
        places = found;
      }),
    ).toBe(true);
    stage.settle();
    return places;
  };
  const good = entry('01', '02', 'fe0f000000000000');
  const other = entry('02', '05', '0400000000000000');
  const places = [
    { of: 'owner', bar: 2, offset: 0xffe },
    { of: 'member', bar: 5, offset: 4 },
  ];
  expect(ask(good, other, entry('00', '00', '0000000000000000'), good)).toEqual(places);
  expect(ask(good, entry('00', '02', '0000000000000000'), other)).toEqual(places.slice(0, 1));
  for (const bad of [
    entry('03', '02', '0000000000000000'),
    entry('ff', '02', '0000000000000000'),
    entry('01', '00', '0000000000000000'),
    entry('01', '06', '0000000000000000'),
    entry('01', '03', '0000000000000000'),
    entry('01', '02', '0100000000000000'),
    entry('01', '02', 'ff0f000000000000'),
    entry('01', '02', '0010000000000000'),
    entry('01', '02', '0000000000000080'),
  ])
    expect(ask(bad, good, other), bad).toEqual(places);
  // A list that is cut, and none.
  expect(ask(good)).toEqual(places.slice(0, 1));
  expect(ask()).toEqual([]);
});
