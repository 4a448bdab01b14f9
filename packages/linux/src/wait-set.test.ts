import { expect, test } from 'vitest';
import { close, newEvent, PollSet, SystemError, signalEvent, takeEvent } from './libc.js';
import { WaitSet } from './wait-set.js';

test('a set is ready while one of its descriptors is, and says which', () => {
  const set = new WaitSet();
  const [first, second] = [newEvent(), newEvent()];
  set.add(first, 7);
  set.add(second, 0xffff_ffff);
  const poll = new PollSet(1);
  poll.add(set.fd);
  expect([poll.look(), set.look()]).toEqual([0, []]);
  signalEvent(second);
  expect([poll.look(), set.look()]).toEqual([1, [0xffff_ffff]]);
  signalEvent(first);
  expect(set.look().sort((a, b) => a - b)).toEqual([7, 0xffff_ffff]);
  takeEvent(first);
  set.remove(second);
  expect([poll.look(), set.look()]).toEqual([0, []]);
  set.remove(second);
  for (const fd of [first, second]) close(fd);
  set.close();
});

test('a descriptor that is closed leaves the set, and what cannot be waited for is refused', () => {
  const set = new WaitSet();
  const event = newEvent();
  signalEvent(event);
  set.add(event, 1);
  expect(() => set.add(event, 2)).toThrow(new SystemError('epoll_ctl', 17));
  close(event);
  expect(set.look()).toEqual([]);
  expect(() => set.add(event, 1)).toThrow('EBADF');
  set.close();
});
