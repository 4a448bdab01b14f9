import { type Address, close, done, ioctl, libc, NativeBytes, openDevice, outcome, SystemError } from './libc.js';

const calls = {
  socket: libc.func('int socket(int, int, int)'),
  writev: libc.func('intptr_t writev(int, uintptr_t, int)'),
} as const;

const TUN = '/dev/net/tun';
/** Requests of linux/if_tun.h and linux/sockios.h. */
const TUNSETIFF = 0x4004_54ca;
const TUNSETOFFLOAD = 0x4004_54d0;
const TUNSETVNETHDRSZ = 0x4004_54d8;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
/** IFF_TAP | IFF_NO_PI | IFF_VNET_HDR: Ethernet frames, each behind a struct virtio_net_hdr. */
const IFF_FRAMES = 0x5002;
/** The same and IFF_MULTI_QUEUE. */
const SEVERAL = 0x5102;
const IFF_UP = 1;
/** struct ifreq of 64-bit Linux: a name, then what the request is about. */
const IFREQ = { name: 0, value: 16, SIZE: 40 } as const;
const NAME_BYTES = 16;

/** What a tap device may leave undone in frames that it gives: bits of TUNSETOFFLOAD. */
export const TUN_F = { CSUM: 1, TSO4: 2, TSO6: 4, TSO_ECN: 8, UFO: 16, USO4: 32, USO6: 64 } as const;

/** A tap device that is open: its descriptor is non-blocking and the caller's to close. */
export interface Tap {
  readonly fd: number;
  /** As the system has it: `tap%d` becomes a name with a number. */
  readonly name: string;
}

/**
 * Open a tap device, which is made if there is none of that name, and then goes with its descriptor. Frames are read and
 * written whole, each behind 12 bytes of struct virtio_net_hdr.
 * @param name at most 15 bytes
 * @param isOneOfSeveral the device has several queues, and each time that it is opened is one of them: the kernel gives a
 *                       flow's frames to the queue that the flow's frames were last written to
 * @throws SystemError where it cannot be: no /dev/net/tun, no right to, another kind of interface, in use
 */
export function openTap(name: string, isOneOfSeveral = false): Tap {
  const request = interfaceRequest(name);
  const fd = openDevice(TUN);
  try {
    attach(fd, request, isOneOfSeveral ? [SEVERAL] : [IFF_FRAMES, SEVERAL]);
    const size = new NativeBytes(4);
    size.view.setInt32(0, 12, true);
    done('TUNSETVNETHDRSZ', ioctl(fd, TUNSETVNETHDRSZ, size.address));
  } catch (error) {
    close(fd);
    throw error;
  }
  const bytes = request.u8.slice(IFREQ.name, NAME_BYTES);
  return { fd, name: new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0))) };
}

/** One that was made for several queues has to be opened as such. @param kinds of tap devices, to be tried in turn */
function attach(fd: number, { view, address }: NativeBytes, kinds: readonly number[]): void {
  for (const flags of kinds) {
    view.setUint16(IFREQ.value, flags, true);
    const result = ioctl(fd, TUNSETIFF, address);
    if (result >= 0) return;
    try {
      done('TUNSETIFF', result);
    } catch (error) {
      const again = error instanceof SystemError && error.code === 'EINVAL' && flags !== kinds.at(-1);
      if (!again) throw error;
    }
  }
}

/** Say which offloads frames may come with: `TUN_F` bits. @returns false, and nothing changes, for what the kernel has not */
export function setTapOffloads(tap: Tap, offloads: number): boolean {
  return ioctl(tap.fd, TUNSETOFFLOAD, offloads) >= 0;
}

/** Bytes of a packet behind its Ethernet header. @throws SystemError for an interface that is not there */
export function interfaceMtu(name: string): number {
  const request = interfaceRequest(name);
  askInterface('SIOCGIFMTU', SIOCGIFMTU, request);
  return request.view.getInt32(IFREQ.value, true);
}

/** @throws SystemError for an interface that is not there, an MTU that it cannot have, or without the right to */
export function setInterfaceMtu(name: string, mtu: number): void {
  const request = interfaceRequest(name);
  request.view.setInt32(IFREQ.value, mtu, true);
  askInterface('SIOCSIFMTU', SIOCSIFMTU, request);
}

/** Switch an interface on, if it is not. @throws SystemError for an interface that is not there, or without the right to */
export function bringInterfaceUp(name: string): void {
  const request = interfaceRequest(name);
  askInterface('SIOCGIFFLAGS', SIOCGIFFLAGS, request);
  const flags = request.view.getUint16(IFREQ.value, true);
  if ((flags & IFF_UP) !== 0) return;
  request.view.setUint16(IFREQ.value, flags | IFF_UP, true);
  askInterface('SIOCSIFFLAGS', SIOCSIFFLAGS, request);
}

function askInterface(name: string, code: number, request: NativeBytes): void {
  const [AF_INET, SOCK_DGRAM_CLOEXEC] = [2, 0x8_0002];
  const socket = done('socket', calls.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0));
  try {
    done(name, ioctl(socket, code, request.address));
  } finally {
    close(socket);
  }
}

/** @throws RangeError for a name that no interface can have */
function interfaceRequest(name: string): NativeBytes {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length >= NAME_BYTES || /[/\s\0]/.test(name))
    throw new RangeError(`an interface's name has 1 to ${NAME_BYTES - 1} bytes, no slash and no space: ${name}`);
  const request = new NativeBytes(IFREQ.SIZE);
  request.u8.set(bytes, IFREQ.name);
  return request;
}

/** Write the parts of an {@link IoVector} in one call. @returns bytes written; {@link NOT_NOW}; {@link GONE} */
export function writeParts(fd: number, address: Address, parts: number): number {
  return outcome(calls.writev(fd, address, parts) as number);
}
