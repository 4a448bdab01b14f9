import { describe, expect, test } from 'vitest';
import type { DevicePart } from './device-part-list.js';
import { MemberCommands } from './member-commands.js';
import { AdminStage, hex, Replies, text } from './testing/admin-stage.js';

const OK = '0000000000000000';
const GET_PARTS = '0100000000000000';
/** DEV_FEATURES, optional, and DEVICE_STATUS, by hand. */
const PARTS = '0001010000000000000000001000000001000000000000000100000000000000 0301000000000000000000000100000007';

/** A device that does as it should, with parts as the test has them. */
function staged(parts = PARTS, size?: string): { stage: AdminStage; members: MemberCommands; replies: Replies } {
  const stage = new AdminStage().begin();
  const members = new MemberCommands(stage.client);
  const replies = new Replies();
  const bytes = hex(parts).length;
  const claimed = size ?? text(Uint8Array.of(bytes & 0xff, bytes >>> 8, 0, 0));
  stage.answer = ({ opcode }) => {
    if (opcode === 8) return `${OK} 0302`;
    if (opcode === 0xe) return `${OK} ${claimed} 00000000`;
    return opcode === 0xf ? `${OK} ${parts}` : OK;
  };
  members.enableParts(replies.done);
  stage.settle();
  expect(replies.ended).toEqual(['0.0']);
  return { stage, members, replies };
}

const get = (stage: AdminStage, members: MemberCommands): readonly [readonly DevicePart[] | undefined, number] => {
  let outcome: readonly [readonly DevicePart[] | undefined, number] | undefined;
  members.getParts(2, (parts, { status }) => {
    outcome = [parts, status];
  });
  stage.settle();
  return outcome!;
};

describe('device parts, from the owner’s driver', () => {
  test('drv.admin.caps.1,.2 drv.admin.resource-objs.7: the capability is read and set, and only then objects are made', () => {
    const stage = new AdminStage().begin();
    const members = new MemberCommands(stage.client);
    expect(() => members.getParts(1, () => {})).toThrow(
      'objects is -1, want one that is free: enableParts comes first',
    );
    const { stage: enabled } = staged();
    expect(enabled.asked.map(({ opcode, data }) => [opcode, text(data)])).toEqual([
      [8, '0000000000000000'],
      // 3 to get, 2 to set: 2 of either.
      [9, '00000000000000000202000000000000'],
    ]);
  });

  test('drv.admin.device-parts.4,.5: as much room as the device says that its parts take', () => {
    const { stage, members } = staged();
    const [parts, status] = get(stage, members);
    expect(status).toBe(0);
    expect(parts!.map(({ type, flags, value }) => [type, flags, text(value)])).toEqual([
      [0x100, 1, '01000000000000000100000000000000'],
      [0x103, 0, '07'],
    ]);
    const commands = stage.asked.slice(2).map(({ opcode, member, data, room }) => [opcode, member, text(data), room]);
    expect(commands).toEqual([
      [0xa, 2, `0000000000000000 0000000000000000 0000000000000000`.replaceAll(' ', ''), 8],
      [0xe, 2, '00000000000000000000000000000000', 16],
      [0xf, 2, `0000000000000000${GET_PARTS}`, 64],
      [0xd, 2, '0000000000000000', 8],
    ]);
  });

  test('DR-32: parts that are longer than the result, or a size that no result has, are none', () => {
    for (const parts of [
      `${PARTS} 03010000000000000000000009000000 07`,
      '03010000000000000000000000000080 07',
      '0301000000000000000000000200000007',
      'ff',
      '0301',
    ])
      expect(get(...(Object.values(staged(parts)) as [AdminStage, MemberCommands])), parts).toEqual([undefined, 0]);
    for (const size of ['ffffffff', '00400000']) {
      const { stage, members } = staged(PARTS, size);
      expect(get(stage, members)).toEqual([undefined, 0]);
      expect(stage.asked.some(({ opcode }) => opcode === 0xf)).toBe(false);
      // The object is gone all the same.
      expect(stage.asked.at(-1)!.opcode).toBe(0xd);
    }
    expect(get(...(Object.values(staged('', '00000000')) as [AdminStage, MemberCommands]))).toEqual([[], 0]);
  });

  test('drv.admin.device-parts.1: parts are set behind a stop, and not otherwise', () => {
    const { stage, members, replies } = staged();
    const parts = get(stage, members)[0]!;
    const set = (): boolean => members.setParts(2, parts, replies.done);
    expect(set).toThrow('member is 2, want a member that is stopped');
    members.stop(2, replies.done);
    expect(set).toThrow('member is 2');
    stage.settle();
    stage.asked.length = 0;
    expect(set()).toBe(true);
    stage.settle();
    expect(stage.asked.map(({ opcode, data }) => [opcode, text(data)])).toEqual([
      [0xa, '000000000000000000000000000000000100000000000000'],
      [0x10, `0000000000000000${PARTS.replaceAll(' ', '')}${'00'.repeat(7)}`],
      [0xd, '0000000000000000'],
    ]);
    members.resume(2, replies.done);
    stage.settle();
    expect(set).toThrow('member is 2');
    expect(replies.ended).toEqual(['0.0', '0.0', '0.0', '0.0']);
  });

  test('drv.admin.device-parts.2: parts are set in their order', () => {
    const { stage, members, replies } = staged();
    const parts = get(stage, members)[0]!;
    members.stop(2, replies.done);
    stage.settle();
    expect(() => members.setParts(2, [parts[1]!, { ...parts[0]!, flags: 0 }], replies.done)).toThrow(
      'parts in their order',
    );
    const huge = { ...parts[1]!, value: new Uint8Array(0x4000) };
    expect(() => members.setParts(2, [huge], replies.done)).toThrow('want at most');
  });

  test('a stop that the device refuses is none', () => {
    const { stage, members, replies } = staged();
    stage.script.push('1600050000000000');
    members.stop(3, replies.done);
    stage.settle();
    expect(replies.ended.at(-1)).toBe('22.5');
    expect(() => members.setParts(3, [], replies.done)).toThrow('member is 3');
  });
});
