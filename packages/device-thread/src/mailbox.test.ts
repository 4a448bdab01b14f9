import { expect, test } from 'vitest';
import { ACCESS_KIND, abandonMailbox, MailboxCaller, serveMailbox } from './mailbox.js';

const newWords = (): Int32Array => new Int32Array(new SharedArrayBuffer(4 * 48));

test('a request arrives as it was asked, and its answer comes back unsigned', () => {
  const words = newWords();
  const asked: number[][] = [];
  const serve = (...request: number[]): number => {
    asked.push(request);
    return -2;
  };
  const caller = new MailboxCaller(words, 0);
  const wake = (): boolean => serveMailbox(words, 0, serve);
  expect(serveMailbox(words, 0, serve)).toBe(false);
  expect(caller.ask(ACCESS_KIND.BAR_READ + 10, 0xffff_fff0, 4, 0, wake, 1000)).toBe(0xffff_fffe);
  expect(caller.ask(ACCESS_KIND.MMIO_WRITE, 0x70, 4, -1, wake, 1000)).toBe(0xffff_fffe);
  expect(asked).toEqual([
    [14, 0xffff_fff0, 4, 0],
    [1, 0x70, 4, 0xffff_ffff],
  ]);
  expect(serveMailbox(words, 0, serve)).toBe(false);
});

test('without an answer in time there is none; nobody else is let in before it came, and then all goes on', () => {
  const words = newWords();
  const caller = new MailboxCaller(words, 0);
  const other = new MailboxCaller(words, 0);
  let wakes = 0;
  const wake = (): void => {
    wakes++;
  };
  expect(caller.ask(ACCESS_KIND.MMIO_READ, 0, 4, 0, wake, 1)).toBeUndefined();
  expect(other.ask(ACCESS_KIND.MMIO_READ, 4, 4, 0, wake, 1)).toBeUndefined();
  // Overdue already: it would take for ever otherwise.
  expect(caller.ask(ACCESS_KIND.MMIO_READ, 8, 4, 0, wake, 3_600_000)).toBeUndefined();
  expect([wakes, caller.timeouts, other.timeouts]).toEqual([1, 2, 1]);
  expect(serveMailbox(words, 0, (_kind, offset) => 100 + offset)).toBe(true);
  const serve = (): boolean => serveMailbox(words, 0, (_kind, offset) => 100 + offset);
  expect(caller.ask(ACCESS_KIND.MMIO_READ, 12, 4, 0, serve, 1000)).toBe(112);
});

test('what a dead thread left behind is answered with all ones', () => {
  const words = newWords();
  const caller = new MailboxCaller(words, 0);
  expect(caller.ask(ACCESS_KIND.MMIO_READ, 0, 4, 0, () => abandonMailbox(words, 0), 1000)).toBe(0xffff_ffff);
});
