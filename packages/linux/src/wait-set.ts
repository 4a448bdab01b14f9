import { close, done, libc, NativeBytes } from './libc.js';

const calls = {
  epoll_create1: libc.func('int epoll_create1(int)'),
  epoll_ctl: libc.func('int epoll_ctl(int, int, int, uintptr_t)'),
  epoll_wait: libc.func('int epoll_wait(int, uintptr_t, int, int)'),
} as const;

const EPOLL_CLOEXEC = 0x8_0000;
const CTL = { ADD: 1, DEL: 2 } as const;
const EPOLLIN = 1;
/** struct epoll_event, which x86-64 alone packs. */
const EVENT = process.arch === 'x64' ? { events: 0, data: 4, SIZE: 12 } : { events: 0, data: 8, SIZE: 16 };
/** Descriptors that one look finds at most; the rest is found by the next one. */
const FOUND_MAX = 64;

/**
 * Descriptors to be waited for as one, such as those of a device that has many, in a loop that knows one of it: epoll(7). It is
 * ready while any of them is, its end or an error included.
 */
export class WaitSet {
  /** To be waited for. */
  readonly fd: number;
  private readonly events: NativeBytes = new NativeBytes(FOUND_MAX * EVENT.SIZE);

  constructor() {
    this.fd = done('epoll_create1', calls.epoll_create1(EPOLL_CLOEXEC));
  }

  /**
   * @param name 0 to 2^32-1, what {@link look} says of it
   * @throws SystemError for what cannot be waited for, or is in the set
   */
  add(fd: number, name: number): void {
    const { view, address } = this.events;
    view.setUint32(EVENT.events, EPOLLIN, true);
    view.setUint32(EVENT.data, name, true);
    view.setUint32(EVENT.data + 4, 0, true);
    done('epoll_ctl', calls.epoll_ctl(this.fd, CTL.ADD, fd, address));
  }

  /** Nothing where it is not in the set; one that is closed leaves by itself. */
  remove(fd: number): void {
    calls.epoll_ctl(this.fd, CTL.DEL, fd, this.events.address);
  }

  /** Look without waiting. @returns names of descriptors that are ready, not necessarily of all */
  look(): number[] {
    const { view, address } = this.events;
    const found = Math.max(0, calls.epoll_wait(this.fd, address, FOUND_MAX, 0) as number);
    return Array.from({ length: found }, (_, at) => view.getUint32(at * EVENT.SIZE + EVENT.data, true));
  }

  close(): void {
    close(this.fd);
  }
}
