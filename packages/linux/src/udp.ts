import { constants } from 'node:os';
import koffi from 'koffi';
import { type Address, close, done, GONE, libc, NativeBytes, outcome } from './libc.js';

const calls = {
  socket: libc.func('int socket(int, int, int)'),
  bind: libc.func('int bind(int, uintptr_t, unsigned int)'),
  connect: libc.func('int connect(int, uintptr_t, unsigned int)'),
  setsockopt: libc.func('int setsockopt(int, int, int, uintptr_t, unsigned int)'),
  getsockopt: libc.func('int getsockopt(int, int, int, uintptr_t, uintptr_t)'),
  inet_pton: libc.func('int inet_pton(int, const char*, uintptr_t)'),
  sendmsg: libc.func('intptr_t sendmsg(int, uintptr_t, int)'),
  recvmmsg: libc.func('int recvmmsg(int, uintptr_t, unsigned int, int, uintptr_t)'),
} as const;

const AF_INET = 2;
const AF_INET6 = 10;
const SOCK_DGRAM_NONBLOCK_CLOEXEC = 0x8_0802;
/** struct sockaddr_in and sockaddr_in6. */
const SOCKADDR = { family: 0, port: 2, address4: 4, SIZE4: 16, address6: 8, SIZE6: 28 } as const;
/** Options by level: SOL_SOCKET, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP. */
const SO = { level: 1, RCVBUF: 8, NO_CHECK: 11, RCVBUFFORCE: 33, MEMINFO: 55 } as const;
const IP = { level: 0, MTU_DISCOVER: 10, MTU: 14 } as const;
const IPV6 = { level: 41, MTU_DISCOVER: 23, MTU: 24, V6ONLY: 26 } as const;
const UDP = { level: 17, NO_CHECK6_RX: 102 } as const;
/** Nothing is fragmented: what is longer than the path carries is refused. */
const PMTUDISC_DO = 2;
/** struct msghdr of 64-bit Linux, and struct mmsghdr around it. */
const MSGHDR = { name: 0, namelen: 8, iov: 16, iovlen: 24, flags: 48, SIZE: 56 } as const;
const MMSGHDR = { length: 56, SIZE: 64 } as const;
const IOVEC_BYTES = 16;
const MSG_TRUNC = 0x20;
/** MSG_DONTWAIT | MSG_NOSIGNAL */
const DONTWAIT_NOSIGNAL = 0x4040;
/** Of SO_MEMINFO's words: what was lost because the receive queue was full. */
const MEMINFO_DROPS = 8;
const { EMSGSIZE } = constants.errno;

/** Besides NOT_NOW and GONE: the datagram is longer than the path carries. */
export const TOO_LONG = -3;

/** An address and a port as the system has them. */
export class UdpAddress {
  readonly isV6: boolean;
  readonly native: NativeBytes;
  /** Bytes of the address, and where they lie. */
  readonly bytes: Uint8Array;

  /** @throws RangeError for what is no IPv4 or IPv6 address */
  constructor(text: string, port: number) {
    this.isV6 = text.includes(':');
    const [family, size, at] = this.isV6
      ? [AF_INET6, SOCKADDR.SIZE6, SOCKADDR.address6]
      : [AF_INET, SOCKADDR.SIZE4, SOCKADDR.address4];
    this.native = new NativeBytes(size);
    if (calls.inet_pton(family, text, this.native.address + at) !== 1)
      throw new RangeError(`no IPv4 or IPv6 address: ${text}`);
    this.native.view.setUint16(SOCKADDR.family, family, true);
    this.native.view.setUint16(SOCKADDR.port, port);
    this.bytes = this.native.u8.subarray(at, at + (this.isV6 ? 16 : 4));
  }
}

/**
 * A non-blocking UDP socket that is bound. What it sends is never fragmented; over IPv4 it has no checksum, and one
 * without is taken over both.
 * @param receiveBytes of its queue, as far as the system allows: all of it to root
 * @throws SystemError for an address that is not this machine's, or a port in use
 */
export function bindUdp(local: UdpAddress, receiveBytes: number): number {
  const fd = done('socket', calls.socket(local.isV6 ? AF_INET6 : AF_INET, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0) as number);
  try {
    if (!isOptionSet(fd, SO.level, SO.RCVBUFFORCE, receiveBytes)) setOption(fd, SO.level, SO.RCVBUF, receiveBytes);
    if (local.isV6) {
      setOption(fd, IPV6.level, IPV6.V6ONLY, 1);
      setOption(fd, IPV6.level, IPV6.MTU_DISCOVER, PMTUDISC_DO);
      setOption(fd, UDP.level, UDP.NO_CHECK6_RX, 1);
    } else {
      setOption(fd, IP.level, IP.MTU_DISCOVER, PMTUDISC_DO);
      setOption(fd, SO.level, SO.NO_CHECK, 1);
    }
    done('bind', calls.bind(fd, local.native.address, local.native.u8.length) as number);
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** Bytes of the longest IP packet that the path to an address carries, as far as it is known. @throws SystemError without a way */
export function pathMtu(remote: UdpAddress): number {
  const { isV6, native } = remote;
  const fd = done('socket', calls.socket(isV6 ? AF_INET6 : AF_INET, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0) as number);
  try {
    done('connect', calls.connect(fd, native.address, native.u8.length) as number);
    return isV6 ? readOption(fd, IPV6.level, IPV6.MTU, 1)[0]! : readOption(fd, IP.level, IP.MTU, 1)[0]!;
  } finally {
    close(fd);
  }
}

/** Datagrams that a socket lost because its queue was full. */
export function lostDatagrams(fd: number): number {
  return readOption(fd, SO.level, SO.MEMINFO, MEMINFO_DROPS + 1)[MEMINFO_DROPS]!;
}

const scratch = new NativeBytes(64);

function setOption(fd: number, level: number, option: number, value: number): void {
  done('setsockopt', isOptionSet(fd, level, option, value) ? 0 : -1);
}

/** @returns false when the system does not allow it */
function isOptionSet(fd: number, level: number, option: number, value: number): boolean {
  scratch.view.setInt32(0, value, true);
  return (calls.setsockopt(fd, level, option, scratch.address, 4) as number) >= 0;
}

/** @returns words of the option's value */
function readOption(fd: number, level: number, option: number, words: number): Uint32Array {
  scratch.view.setUint32(0, 4 * words, true);
  done('getsockopt', calls.getsockopt(fd, level, option, scratch.address + 8, scratch.address) as number);
  return new Uint32Array(scratch.u8.slice(8, 8 + 4 * words).buffer);
}

/** Sends datagrams to one address, each gathered from parts that lie anywhere. */
export class DatagramSender {
  private readonly message = new NativeBytes(MSGHDR.SIZE);
  // Kept for as long as the message names it.
  private readonly remote: UdpAddress;

  /** @param parts address of the struct iovecs */
  constructor(remote: UdpAddress, parts: Address) {
    const { view } = this.message;
    this.remote = remote;
    view.setBigUint64(MSGHDR.name, BigInt(remote.native.address), true);
    view.setUint32(MSGHDR.namelen, this.remote.native.u8.length, true);
    view.setBigUint64(MSGHDR.iov, BigInt(parts), true);
  }

  /** Send the first `count` parts. @returns bytes; NOT_NOW, {@link TOO_LONG}, or GONE for any other refusal */
  send(fd: number, count: number): number {
    this.message.view.setUint32(MSGHDR.iovlen, count, true);
    const result = outcome(calls.sendmsg(fd, this.message.address, DONTWAIT_NOSIGNAL) as number);
    return result === GONE && koffi.errno() === EMSGSIZE ? TOO_LONG : result;
  }
}

/** Receives datagrams in bursts, each into a slot of memory. */
export class DatagramBurst {
  readonly slots: number;
  private readonly native: NativeBytes;
  private readonly sourcesAt: number;

  /** @param address of `slots` times `slotBytes` bytes, which don't move */
  constructor(address: Address, slots: number, slotBytes: number) {
    const iovecsAt = slots * MMSGHDR.SIZE;
    this.slots = slots;
    this.sourcesAt = iovecsAt + slots * IOVEC_BYTES;
    this.native = new NativeBytes(this.sourcesAt + slots * SOCKADDR.SIZE6);
    const { view } = this.native;
    const place = (offset: number): bigint => BigInt(this.native.address + offset);
    for (let slot = 0; slot < slots; slot++) {
      const iovec = iovecsAt + slot * IOVEC_BYTES;
      view.setBigUint64(slot * MMSGHDR.SIZE + MSGHDR.name, place(this.sourcesAt + slot * SOCKADDR.SIZE6), true);
      view.setBigUint64(slot * MMSGHDR.SIZE + MSGHDR.iov, place(iovec), true);
      view.setUint32(slot * MMSGHDR.SIZE + MSGHDR.iovlen, 1, true);
      view.setBigUint64(iovec, BigInt(address + slot * slotBytes), true);
      view.setUint32(iovec + 8, slotBytes, true);
    }
  }

  /** @returns datagrams that lie in the first slots now, or NOT_NOW, GONE */
  receive(fd: number): number {
    const { view, address } = this.native;
    for (let slot = 0; slot < this.slots; slot++)
      view.setUint32(slot * MMSGHDR.SIZE + MSGHDR.namelen, SOCKADDR.SIZE6, true);
    return outcome(calls.recvmmsg(fd, address, this.slots, DONTWAIT_NOSIGNAL, 0) as number);
  }

  bytes(slot: number): number {
    return this.native.view.getUint32(slot * MMSGHDR.SIZE + MMSGHDR.length, true);
  }

  /** Whether the datagram was longer than its slot. */
  isCut(slot: number): boolean {
    return (this.native.view.getUint32(slot * MMSGHDR.SIZE + MSGHDR.flags, true) & MSG_TRUNC) !== 0;
  }

  /** Whether a datagram came from an address, whatever its port. */
  isFrom(slot: number, { isV6, bytes }: UdpAddress): boolean {
    const { u8 } = this.native;
    const at = this.sourcesAt + slot * SOCKADDR.SIZE6 + (isV6 ? SOCKADDR.address6 : SOCKADDR.address4);
    for (let byte = 0; byte < bytes.length; byte++) if (u8[at + byte] !== bytes[byte]) return false;
    return true;
  }
}
