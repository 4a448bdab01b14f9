import { expect, test } from 'vitest';
import { functionObstacles } from './function-obstacles.js';

const VF_82599 = { vendorId: 0x8086, deviceId: 0x10ed, tracksDirty: false };

test('F64: a vendor’s function stays for three reasons: its state, what it writes unseen, and the guest’s driver', () => {
  const obstacles = functionObstacles(VF_82599, { vendorId: 0xb0b0, deviceId: 0x0002 });
  expect(obstacles).toEqual([
    'what function 8086:10ed knows of its rings is in registers whose meaning is its vendor’s: the host cannot save it',
    'the source cannot be suspended: it would go on writing while it is read',
    'the source cannot be resumed: a move that fails would end the guest',
    'the source does not tell which memory it writes: what was copied would be out of date',
    'the guest’s driver is one for 8086:10ed, and what it would find is b0b0:0002, which has another driver',
  ]);
});

test('F65: to a function of the same ids it stays for its state, and with dirty flags for nothing that it writes', () => {
  const obstacles = functionObstacles({ ...VF_82599, tracksDirty: true }, VF_82599);
  expect(obstacles).toHaveLength(3);
  expect(obstacles.join()).not.toContain('driver');
  expect(obstacles.join()).not.toContain('which memory');
});
