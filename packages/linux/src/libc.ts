import { lstatSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';

/** For the files beside this one, which declare the calls that only they make. */
export const libc: ReturnType<typeof koffi.load> = koffi.load('libc.so.6');

/** Addresses of a process are below 2^47, so they are exact numbers here. */
export type Address = number;

const calls = {
  socket: libc.func('int socket(int, int, int)'),
  socketpair: libc.func('int socketpair(int, int, int, uintptr_t)'),
  bind: libc.func('int bind(int, uintptr_t, unsigned int)'),
  connect: libc.func('int connect(int, uintptr_t, unsigned int)'),
  listen: libc.func('int listen(int, int)'),
  accept4: libc.func('int accept4(int, uintptr_t, uintptr_t, int)'),
  recvmsg: libc.func('intptr_t recvmsg(int, uintptr_t, int)'),
  sendmsg: libc.func('intptr_t sendmsg(int, uintptr_t, int)'),
  read: libc.func('intptr_t read(int, uintptr_t, uintptr_t)'),
  write: libc.func('intptr_t write(int, uintptr_t, uintptr_t)'),
  close: libc.func('int close(int)'),
  open: libc.func('int open(const char*, int, int)'),
  ioctl: libc.func('int ioctl(int, uintptr_t, uintptr_t)'),
  fcntl: libc.func('int fcntl(int, int, int)'),
  poll: libc.func('int poll(uintptr_t, uintptr_t, int)'),
  eventfd: libc.func('int eventfd(unsigned int, int)'),
  memfd_create: libc.func('int memfd_create(const char*, unsigned int)'),
  ftruncate: libc.func('int ftruncate(int, int64_t)'),
  mprotect: libc.func('int mprotect(uintptr_t, uintptr_t, int)'),
  sigaction: libc.func('int sigaction(int, uintptr_t, uintptr_t)'),
  sched_setaffinity: libc.func('int sched_setaffinity(int, uintptr_t, uintptr_t)'),
  mmap: libc.func('intptr_t mmap(uintptr_t, uintptr_t, int, int, int, int64_t)'),
} as const;

/** Any function that returns its pointer argument tells where a buffer lies; with length 0 it does nothing else. */
const whereIs = libc.func('uintptr_t memmove(void*, void*, uintptr_t)');

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(constants.errno).map(([name, value]) => [value, name]),
);

const nameOf = (errno: number): string => ERRNO_NAMES.get(errno) ?? `errno ${errno}`;

/** A system call failed. @see errno(3) */
export class SystemError extends Error {
  override readonly name = 'SystemError';
  /** Such as `EINVAL`. */
  readonly code: string;
  /** The system call, and what it was about where there is more to say. */
  readonly call: string;

  constructor(call: string, errno: number) {
    const code = nameOf(errno);
    super(`${call}: ${code}`);
    this.code = code;
    this.call = call;
  }
}

/** @returns what the call did, unless it failed. @throws SystemError */
export function done(call: string, result: number): number {
  if (result < 0) throw new SystemError(call, koffi.errno());
  return result;
}

/** What a call says below 0: nothing now, ask again. */
export const NOT_NOW = -1;
/** What a call says below 0: the other side is gone. */
export const GONE = -2;

const { EAGAIN, EINTR } = constants.errno;

/** Why the system call that has just failed did. */
export const errnoName = (): string => nameOf(koffi.errno());

/** @returns the result, {@link NOT_NOW} or {@link GONE}; nothing that a peer does makes it throw */
export function outcome(result: number): number {
  if (result >= 0) return result;
  const errno = koffi.errno();
  if (errno === EAGAIN || errno === EINTR) return NOT_NOW;
  return GONE;
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;
/** SOCK_NONBLOCK | SOCK_CLOEXEC, the same bits as EFD_NONBLOCK | EFD_CLOEXEC. */
const NONBLOCK_CLOEXEC = 0x8_0800;
/** struct sockaddr_un: family, then at most 108 bytes with a zero at their end. */
const SUN_PATH_BYTES = 108;
const BACKLOG = 8;

/** Bytes outside of JavaScript's heap, which a system call may be told the address of: they never move. */
export class NativeBytes {
  readonly u8: Uint8Array;
  readonly view: DataView;
  readonly address: Address;

  constructor(bytes: number) {
    this.u8 = new Uint8Array(new SharedArrayBuffer(bytes));
    this.view = new DataView(this.u8.buffer);
    this.address = addressOf(this.u8);
  }
}

/** Address of the first byte of a view whose buffer never moves. */
export function addressOf(view: Uint8Array): Address {
  return whereIs(view, view, 0) as number;
}

const eight = new NativeBytes(8);

/**
 * A non-blocking UNIX stream socket that listens. A path that a process left behind, which was killed, is taken over.
 * @throws SystemError, RangeError for a path that is too long
 */
export function listenUnix(path: string): number {
  try {
    return boundUnix(path);
  } catch (error) {
    if (!isCode(error, 'EADDRINUSE') || !removeLeftBehind(path)) throw error;
    return boundUnix(path);
  }
}

function boundUnix(path: string): number {
  return unixSocket(path, (fd, address, bytes) => {
    done(`bind ${path}`, calls.bind(fd, address, bytes));
    done(`listen ${path}`, calls.listen(fd, BACKLOG));
  });
}

/** @returns whether a path was a socket that nobody listens at, and is gone now */
function removeLeftBehind(path: string): boolean {
  try {
    close(connectUnix(path));
  } catch (error) {
    // A file that is no socket refuses too.
    if (!isCode(error, 'ECONNREFUSED') || !lstatSync(path).isSocket()) return false;
    unlinkSync(path);
    return true;
  }
  return false;
}

const isCode = (error: unknown, code: string): boolean => error instanceof SystemError && error.code === code;

/** A non-blocking UNIX stream socket that is connected. @throws SystemError, RangeError for a path that is too long */
export function connectUnix(path: string): number {
  return unixSocket(path, (fd, address, bytes) => done(`connect ${path}`, calls.connect(fd, address, bytes)));
}

function unixSocket(path: string, use: (fd: number, address: Address, bytes: number) => void): number {
  const name = new TextEncoder().encode(path);
  if (name.length >= SUN_PATH_BYTES)
    throw new RangeError(`a socket's path has at most ${SUN_PATH_BYTES - 1} bytes: ${path}`);
  const address = new NativeBytes(2 + SUN_PATH_BYTES);
  address.view.setUint16(0, AF_UNIX, true);
  address.u8.set(name, 2);
  const fd = done('socket', calls.socket(AF_UNIX, SOCK_STREAM | NONBLOCK_CLOEXEC, 0));
  try {
    use(fd, address.address, address.u8.length);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** Two non-blocking UNIX stream sockets that are connected to each other. */
export function socketPair(): [number, number] {
  done('socketpair', calls.socketpair(AF_UNIX, SOCK_STREAM | NONBLOCK_CLOEXEC, 0, eight.address));
  return [eight.view.getInt32(0, true), eight.view.getInt32(4, true)];
}

/** @returns a non-blocking socket, or {@link NOT_NOW}, also where the client has gone again */
export function accept(listener: number): number {
  const fd = calls.accept4(listener, 0, 0, NONBLOCK_CLOEXEC) as number;
  return fd >= 0 ? fd : NOT_NOW;
}

/** @param message address of a struct msghdr. @returns bytes; 0 at the end; {@link NOT_NOW}, {@link GONE} */
export function recvmsg(fd: number, message: Address): number {
  const MSG_DONTWAIT_CMSG_CLOEXEC = 0x4000_0040;
  return outcome(calls.recvmsg(fd, message, MSG_DONTWAIT_CMSG_CLOEXEC));
}

/** @param message address of a struct msghdr. @returns bytes; {@link NOT_NOW}, {@link GONE} */
export function sendmsg(fd: number, message: Address): number {
  const MSG_DONTWAIT_NOSIGNAL = 0x4040;
  return outcome(calls.sendmsg(fd, message, MSG_DONTWAIT_NOSIGNAL));
}

/** Open a device file for reading and writing, neither of which blocks. @throws SystemError */
export function openDevice(path: string): number {
  const O_RDWR_NONBLOCK_CLOEXEC = 0x8_0802;
  return done(`open ${path}`, calls.open(path, O_RDWR_NONBLOCK_CLOEXEC, 0));
}

/** @param argument a number, or the address of what the request is about. @returns below 0 where it failed */
export function ioctl(fd: number, request: number, argument: number): number {
  return calls.ioctl(fd, request, argument);
}

/** @returns bytes read to an address; {@link NOT_NOW}; {@link GONE} */
export function readTo(fd: number, address: Address, bytes: number): number {
  return outcome(calls.read(fd, address, bytes) as number);
}

/** @returns bytes written from an address; {@link NOT_NOW}; {@link GONE} */
export function writeFrom(fd: number, address: Address, bytes: number): number {
  return outcome(calls.write(fd, address, bytes) as number);
}

/** Never throws: a descriptor is gone after close(2), whatever it says. */
export function close(fd: number): void {
  calls.close(fd);
}

/** Reads and writes through the descriptor never block, whoever shares it. */
export function setNonBlocking(fd: number): void {
  const [F_GETFL, F_SETFL, O_NONBLOCK] = [3, 4, 0x800];
  const flags = done('fcntl', calls.fcntl(fd, F_GETFL, 0));
  done('fcntl', calls.fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}

/** A new eventfd, non-blocking, at 0. @param semaphore a read takes one event, rather than all */
export function newEvent(semaphore = false): number {
  const EFD_SEMAPHORE = 1;
  return done('eventfd', calls.eventfd(0, NONBLOCK_CLOEXEC | (semaphore ? EFD_SEMAPHORE : 0)));
}

/** Add 1 to an eventfd. One that is full has its event pending already. */
export function signalEvent(fd: number): void {
  eight.view.setBigUint64(0, 1n, true);
  calls.write(fd, eight.address, 8);
}

/** Take the events of an eventfd. @returns whether there were any */
export function takeEvent(fd: number): boolean {
  return calls.read(fd, eight.address, 8) === 8;
}

/**
 * A new file in memory of a size in bytes.
 * @param huge of huge pages of the default size, which `bytes` is a multiple of then
 * @throws SystemError for a size that there can't be
 */
export function newMemoryFile(name: string, bytes: number, huge = false): number {
  const [MFD_CLOEXEC, MFD_ALLOW_SEALING, MFD_HUGETLB] = [1, 2, 4];
  const flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | (huge ? MFD_HUGETLB : 0);
  const fd = done('memfd_create', calls.memfd_create(name, flags));
  if (calls.ftruncate(fd, bytes) === 0) return fd;
  const why = new SystemError('ftruncate', koffi.errno());
  close(fd);
  throw why;
}

/** From now on nobody makes a file in memory shorter or longer, whoever has it: what is mapped of it stays there. */
export function sealSize(fd: number): void {
  const [F_ADD_SEALS, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW] = [1033, 1, 2, 4];
  done('fcntl', calls.fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW));
}

const PROT_READ = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 1;
const MAP_FIXED = 0x10;
const MAP_PRIVATE_ANONYMOUS_NORESERVE = 0x4022;

/**
 * Show a part of a file in place of what is in memory.
 * @param address,bytes,offset whole pages of the file, which huge pages make 2 MiB or more
 * @param writable else whoever writes there ends the process
 * @throws SystemError, with the memory as it was, for a file that cannot be mapped, read, or, if it is to be, written
 */
export function mapFileAt(address: Address, bytes: number, fd: number, offset: number, writable = true): void {
  const rights = writable ? PROT_READ_WRITE : PROT_READ;
  done('mmap', calls.mmap(address, bytes, rights, MAP_SHARED | MAP_FIXED, fd, offset) as number);
}

/** Put fresh zero pages in place of what is in memory: the file that was there is let go. */
export function mapZerosAt(address: Address, bytes: number): void {
  done(
    'mmap',
    calls.mmap(address, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_NORESERVE | MAP_FIXED, -1, 0) as number,
  );
}

/** Fresh zero pages that nobody gives back. */
export function mapAnonymous(bytes: number): Address {
  return done('mmap', calls.mmap(0, bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS_NORESERVE, -1, 0) as number);
}

/** Whole pages hold code from now on, and can't be written any more. */
export function makeExecutable(address: Address, bytes: number): void {
  const PROT_READ_EXEC = 5;
  done('mprotect', calls.mprotect(address, bytes, PROT_READ_EXEC));
}

/** struct sigaction of glibc on 64-bit machines: handler, mask, flags, restorer. */
const SIGACTION = { handler: 0, flags: 136, SIZE: 152 } as const;
/** SA_SIGINFO | SA_ONSTACK. */
const SIGINFO_ONSTACK = 0x0800_0004;

/**
 * Have a signal handled by machine code, which gets the signal, a siginfo_t and a ucontext_t.
 * @returns address of the handler before; 0 and 1 stand for none
 */
export function setSignalHandler(signal: number, handler: Address): Address {
  const [now, before] = [new NativeBytes(SIGACTION.SIZE), new NativeBytes(SIGACTION.SIZE)];
  now.view.setBigUint64(SIGACTION.handler, BigInt(handler), true);
  now.view.setInt32(SIGACTION.flags, SIGINFO_ONSTACK, true);
  done('sigaction', calls.sigaction(signal, now.address, before.address));
  return Number(before.view.getBigUint64(SIGACTION.handler, true));
}

/** What poll(2) is to look at. */
const POLLIN = 1;
const POLLFD_BYTES = 8;

/** A set of descriptors to wait for: poll(2). */
export class PollSet {
  private readonly entries: NativeBytes;
  private readonly capacity: number;
  private count = 0;

  /** @param capacity most descriptors */
  constructor(capacity: number) {
    this.capacity = capacity;
    this.entries = new NativeBytes(capacity * POLLFD_BYTES);
  }

  clear(): void {
    this.count = 0;
  }

  /** @throws RangeError when the set is full */
  add(fd: number): void {
    if (this.count === this.capacity) throw new RangeError(`a PollSet of ${this.capacity} descriptors is full`);
    const at = POLLFD_BYTES * this.count++;
    this.entries.view.setInt32(at, fd, true);
    this.entries.view.setUint32(at + 4, POLLIN, true);
  }

  /** Look without waiting. @returns how many are ready */
  look(): number {
    return this.block(0);
  }

  /** Wait with the whole thread, the event loop included. @returns how many are ready; 0 in the end, or after a signal */
  block(milliseconds: number): number {
    return Math.max(0, calls.poll(this.entries.address, this.count, milliseconds) as number);
  }

  /** Wait in a thread of libuv's pool, while the event loop goes on. The set is not to be changed meanwhile. */
  wait(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      calls.poll.async(this.entries.address, this.count, milliseconds, () => resolve());
    });
  }

  /** Whether the descriptor added as number `index` was ready in the last look or wait, its end or an error included. */
  isReady(index: number): boolean {
    return this.entries.view.getUint16(index * POLLFD_BYTES + 6, true) !== 0;
  }
}

/** Have the calling thread run on one core only. @throws SystemError for a core that it may not run on */
export function pinThread(core: number): void {
  const mask = new NativeBytes(128);
  mask.u8[core >>> 3] = 1 << (core & 7);
  done('sched_setaffinity', calls.sched_setaffinity(0, mask.u8.length, mask.address));
}
