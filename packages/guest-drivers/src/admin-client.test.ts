import { describe, expect, test } from 'vitest';
import { UNANSWERED } from './admin-queue.js';
import { AdminStage, hex, Replies, text } from './testing/admin-stage.js';

const OK = '0.0';

describe('which commands are used', () => {
  test('drv.admin.commands.1,.2,.7: LIST_QUERY, LIST_USE, and nothing else before both are done', () => {
    const stage = new AdminStage();
    const replies = new Replies();
    const send = (): boolean => stage.client.sriov.send('DEV_MODE_SET', 1, Uint8Array.of(0), 0, replies.done);
    expect(send).toThrow('opcode is DEV_MODE_SET, want a command that the group’s list has');
    stage.script.push('0000000000000000 0300020000000000', undefined);
    expect(stage.client.sriov.begin(replies.done)).toBe(true);
    expect(send).toThrow('opcode is DEV_MODE_SET');
    stage.turn();
    stage.turn();
    expect(stage.asked.map(({ opcode, group, member }) => [opcode, group, member])).toEqual([
      [0, 1, 0],
      [1, 1, 0],
    ]);
    expect(send).toThrow('opcode is DEV_MODE_SET');
    stage.answerLate();
    stage.turn();
    // What was never written reads as before the command: zeros, OK.
    expect(replies.ended).toEqual([OK]);
    expect(stage.client.sriov.can('DEV_MODE_SET')).toBe(true);
    expect(send()).toBe(true);
    // Of the self group nothing is known by that.
    expect(() => stage.client.self.send('CAP_ID_LIST_QUERY', 0, hex(''), 8, replies.done)).toThrow('opcode');
  });

  test('drv.admin.commands.5,.6 DR-32: what is used is known here and offered there', () => {
    const stage = new AdminStage();
    const replies = new Replies();
    // Everything, opcodes that there are not included, in 16 bytes.
    stage.script.push(`0000000000000000 ${'ff'.repeat(16)}`);
    stage.client.self.begin(replies.done);
    stage.settle();
    expect(text(stage.asked[1]!.data)).toBe('ffff030000000000');
    // Legacy commands are not offered: they are not used.
    stage.script.push('0000000000000000 833f000000000000');
    stage.client.self.begin(replies.done);
    stage.settle();
    expect(text(stage.asked[3]!.data)).toBe('833f000000000000');
    expect(stage.client.self.can('LEGACY_DEV_CFG_READ')).toBe(false);
    expect(replies.ended).toEqual([OK, OK]);
  });

  test('drv.admin.commands.3,.8: again with fewer, and without the two list commands', () => {
    const stage = new AdminStage().begin();
    const replies = new Replies();
    stage.script.push('0000000000000000 ffff030000000000');
    expect(stage.client.self.begin(replies.done, ['CAP_ID_LIST_QUERY'])).toBe(true);
    stage.settle();
    expect(text(stage.asked[1]!.data)).toBe('8000000000000000');
    expect([stage.client.self.can('CAP_ID_LIST_QUERY'), stage.client.self.can('DEVICE_CAP_GET')]).toEqual([
      true,
      false,
    ]);
  });

  test('drv.admin.commands.4: LIST_USE goes out when nothing else is on its way, and nothing behind it before it is done', () => {
    const stage = new AdminStage().begin();
    const replies = new Replies();
    stage.script.push(undefined, '0000000000000000 0300000000000000');
    expect(stage.client.sriov.send('DEV_MODE_SET', 1, Uint8Array.of(1), 0, replies.done)).toBe(true);
    expect(stage.client.self.begin(replies.done)).toBe(true);
    for (let n = 0; n < 3; n++) stage.turn();
    expect(stage.asked.map(({ opcode }) => opcode)).toEqual([0x11, 0]);
    expect(stage.client.sriov.send('DEV_MODE_SET', 1, Uint8Array.of(0), 0, replies.done)).toBe(false);
    expect(stage.client.isIdle).toBe(false);
    stage.script.push(undefined);
    stage.answerLate();
    stage.turn();
    stage.turn();
    expect(stage.asked.map(({ opcode }) => opcode)).toEqual([0x11, 0, 1]);
    expect(stage.client.sriov.send('DEV_MODE_SET', 1, Uint8Array.of(0), 0, replies.done)).toBe(false);
    stage.answerLate();
    stage.turn();
    expect(stage.client.sriov.send('DEV_MODE_SET', 1, Uint8Array.of(0), 0, replies.done)).toBe(true);
  });

  test('a group that there is not, and a list that is refused', () => {
    const stage = new AdminStage();
    const replies = new Replies();
    stage.script.push('1600040000000000');
    stage.client.sriov.begin(replies.done);
    stage.settle();
    stage.script.push('0000000000000000 8300000000000000', '1600030000000000');
    stage.client.self.begin(replies.done);
    stage.settle();
    expect(replies.ended).toEqual(['22.4', '22.3']);
    expect([stage.client.self.can('CAP_ID_LIST_QUERY'), stage.client.sriov.can('DEV_MODE_SET')]).toEqual([
      false,
      false,
    ]);
  });

  test('drv.admin.commands.11: members from 1 to NumVFs, and none while VF Enable is clear', () => {
    const stage = new AdminStage().begin();
    const mode = (member: number): boolean => stage.client.sriov.send('DEV_MODE_SET', member, hex('00'), 0, () => {});
    for (const member of [0, 5, -1, 1.5, 2 ** 32]) expect(() => mode(member)).toThrow('want 1 to 4');
    for (const member of [1, 4]) expect(mode(member)).toBe(true);
    stage.functions = 0;
    expect(() => mode(1)).toThrow('want 1 to 0');
    expect(() => stage.client.self.send('CAP_ID_LIST_QUERY', 1, hex(''), 8, () => {})).toThrow('want 0 to 0');
  });
});

describe('commands as they go out', () => {
  test('drv.admin.vq.1,.2,.3,.4,.5: both parts are whole words of 64 bits, and never empty', () => {
    const stage = new AdminStage().begin();
    const replies = new Replies();
    for (const [data, room] of [
      [hex(''), 0],
      [hex('01'), 1],
      [hex('0102030405060708'), 8],
      [hex('010203040506070809'), 9],
    ] as const) {
      stage.client.sriov.send('DEV_MODE_SET', 2, data, room, replies.done);
      stage.settle();
    }
    expect(stage.asked.map(({ readable, room }) => [readable, room])).toEqual([
      [24, 8],
      [32, 16],
      [32, 16],
      [40, 24],
    ]);
    expect(text(stage.asked[3]!.data)).toBe('01020304050607080900000000000000');
    expect(stage.asked[0]).toMatchObject({ opcode: 0x11, group: 1, member: 2 });
    const most = stage.queue.bytesMax;
    expect(() => stage.client.sriov.send('DEV_MODE_SET', 2, new Uint8Array(most + 1), 0, replies.done)).toThrow(
      'bytes is',
    );
    expect(stage.client.sriov.send('DEV_MODE_SET', 2, new Uint8Array(most - 5), 5, replies.done)).toBe(true);
  });

  test('drv.admin.vq.6,.7: what the device did not say that it wrote is zeros', () => {
    const stage = new AdminStage().begin();
    const replies = new Replies();
    const get = (answer: string, claims?: number): Uint8Array => {
      stage.script.push(answer);
      stage.claims = claims;
      stage.client.self.send('DEVICE_CAP_GET', 0, hex('0000000000000000'), 8, replies.done);
      stage.settle();
      stage.claims = undefined;
      return replies.last!.result;
    };
    expect(get('00000000ffffffff 0102030405060708')).toEqual(hex('0102030405060708'));
    expect(get('0000000000000000 0102030405060708', 11)).toEqual(hex('010203'));
    expect(get('0000000000000000 0102030405060708', 4)).toEqual(hex(''));
    expect(replies.ended).toEqual([OK, OK, OK]);
    // A status that is cut in its first byte, and none at all, which is no success.
    get('1600040000000000', 1);
    get('0000000000000000', 0);
    expect(replies.ended.slice(3)).toEqual(['22.0', '22.0']);
  });

  test('drv.admin.commands.9,.10: a status or a qualifier that is reserved', () => {
    const stage = new AdminStage().begin();
    const replies = new Replies();
    for (const answer of ['0500030000000000', '1600080000000000', 'ffffffff00000000', '1600040000000000']) {
      stage.script.push(answer);
      stage.client.self.send('CAP_ID_LIST_QUERY', 0, hex(''), 8, replies.done);
      stage.settle();
    }
    expect(replies.ended).toEqual(['22.3', '22.1', '22.1', '22.4']);
    expect(replies.last!.result).toEqual(hex(''));
  });

  test('drv.admin.vq.9: what the device was too busy for is sent anew, and not for ever', () => {
    const stage = new AdminStage().begin();
    const replies = new Replies();
    const busy = '0b00070000000000';
    stage.script.push(busy, busy, '0000000000000000');
    stage.client.sriov.send('DEV_MODE_SET', 1, hex('01'), 0, replies.done);
    stage.settle();
    expect(replies.ended).toEqual([OK]);
    expect(stage.asked.map(({ opcode, data }) => [opcode, text(data)])).toEqual(
      Array(3).fill([0x11, '0100000000000000']),
    );
    stage.asked.length = 0;
    stage.answer = () => busy;
    stage.client.sriov.send('DEV_MODE_SET', 1, hex('01'), 0, replies.done);
    stage.settle();
    expect(replies.ended).toEqual([OK, '11.7']);
    expect(stage.asked).toHaveLength(16);
  });

  test('four commands at once, and no more', () => {
    const stage = new AdminStage().begin();
    const replies = new Replies();
    stage.script.push(undefined, undefined, undefined, undefined);
    const mode = (): boolean => stage.client.sriov.send('DEV_MODE_SET', 1, hex('00'), 0, replies.done);
    expect([mode(), mode(), mode(), mode(), mode()]).toEqual([true, true, true, true, false]);
    stage.turn();
    expect(stage.client.waitingSince()).toBe(1000);
    stage.answerLate();
    stage.turn();
    expect(replies.ended).toHaveLength(4);
    expect(mode()).toBe(true);
  });

  test('a list that waits to be told is one of those that are never answered', () => {
    const stage = new AdminStage().begin();
    const replies = new Replies();
    stage.script.push(undefined, '0000000000000000 0300000000000000');
    stage.client.sriov.send('DEV_MODE_SET', 1, hex('01'), 0, replies.done);
    stage.client.self.begin(replies.done);
    stage.turn();
    stage.client.abandon();
    expect(replies.ended).toEqual([`${UNANSWERED}.0`, `${UNANSWERED}.0`]);
    expect(stage.client.self.begin(replies.done)).toBe(false);
  });

  test('DR-18: whoever waits is told when the device is given up; what comes later harms nobody', () => {
    const stage = new AdminStage().begin();
    const replies = new Replies();
    stage.script.push(undefined);
    stage.client.sriov.send('DEV_MODE_SET', 1, hex('01'), 0, replies.done);
    stage.turn();
    stage.client.abandon();
    expect(replies.ended).toEqual([`${UNANSWERED}.0`]);
    expect(stage.client.waitingSince()).toBe(Number.POSITIVE_INFINITY);
    stage.answerLate();
    expect(() => stage.turn()).not.toThrow();
    expect(replies.ended).toHaveLength(1);
  });
});
