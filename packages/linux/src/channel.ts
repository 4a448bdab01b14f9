import { close, GONE, NativeBytes, NOT_NOW, recvmsg, sendmsg } from './libc.js';

/** Most descriptors that one message may carry. */
export const FDS_MAX = 8;

/** struct msghdr of 64-bit Linux; bytes. */
const MSGHDR = { iov: 16, iovlen: 24, control: 32, controllen: 40, flags: 48, SIZE: 56 } as const;
/** struct cmsghdr, with the descriptors behind it. */
const CMSGHDR = { len: 0, level: 8, type: 12, SIZE: 16 } as const;
const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const MSG_CTRUNC = 8;
/** Room for the descriptors of a message that is received: what doesn't fit the kernel closes, and says so. */
const CONTROL_BYTES: number = CMSGHDR.SIZE + 4 * FDS_MAX;
/** More can be sent than may be received, which is what a bad peer does. */
const SENT_FDS_MAX: number = 2 * FDS_MAX;

// One block for all channels: a call is over before the next begins.
const IOV_AT: number = MSGHDR.SIZE;
const CONTROL_AT: number = IOV_AT + 16;
const DATA_AT: number = CONTROL_AT + CMSGHDR.SIZE + 4 * SENT_FDS_MAX;
/** Most bytes that go in one call. */
const DATA_BYTES = 4096;
const block = new NativeBytes(DATA_AT + DATA_BYTES);

/**
 * Receive at most as many bytes as `into` has, and the descriptors that come with them.
 * @param fds descriptors are appended, and are the caller's to close
 * @returns bytes; {@link NOT_NOW}; {@link GONE} at the end, after an error, or when more descriptors came than there may
 *          be (all of that call are closed then)
 */
export function receive(socket: number, into: Uint8Array, fds: number[]): number {
  const { view, u8 } = block;
  const most = Math.min(into.length, DATA_BYTES);
  header(most, CONTROL_BYTES);
  const bytes = recvmsg(socket, block.address);
  if (bytes === NOT_NOW) return NOT_NOW;
  if (bytes <= 0) return GONE;
  const before = fds.length;
  const length = Number(view.getBigUint64(MSGHDR.controllen, true));
  if (length >= CMSGHDR.SIZE && isRights()) {
    const end = Math.min(length, Number(view.getBigUint64(CONTROL_AT + CMSGHDR.len, true)));
    for (let at = CMSGHDR.SIZE; at + 4 <= end; at += 4) fds.push(view.getInt32(CONTROL_AT + at, true));
  }
  if ((view.getUint32(MSGHDR.flags, true) & MSG_CTRUNC) !== 0) {
    for (const fd of fds.splice(before)) close(fd);
    return GONE;
  }
  into.set(u8.subarray(DATA_AT, DATA_AT + bytes));
  return bytes;
}

/**
 * Send bytes with descriptors, which stay the caller's.
 * @param bytes at most 4096, @param fds at most 16
 * @returns bytes that went; {@link NOT_NOW}, {@link GONE}
 */
export function send(socket: number, bytes: Uint8Array, fds: readonly number[] = []): number {
  const { view, u8 } = block;
  if (bytes.length > DATA_BYTES || fds.length > SENT_FDS_MAX)
    throw new RangeError(`${bytes.length} bytes and ${fds.length} descriptors are too many for one message`);
  header(bytes.length, fds.length === 0 ? 0 : CMSGHDR.SIZE + 8 * Math.ceil(fds.length / 2));
  u8.set(bytes, DATA_AT);
  view.setBigUint64(CONTROL_AT + CMSGHDR.len, BigInt(CMSGHDR.SIZE + 4 * fds.length), true);
  view.setInt32(CONTROL_AT + CMSGHDR.level, SOL_SOCKET, true);
  view.setInt32(CONTROL_AT + CMSGHDR.type, SCM_RIGHTS, true);
  for (const [index, fd] of fds.entries()) view.setInt32(CONTROL_AT + CMSGHDR.SIZE + 4 * index, fd, true);
  return sendmsg(socket, block.address);
}

function header(dataBytes: number, controlBytes: number): void {
  const { view, u8, address } = block;
  const at = (offset: number): bigint => BigInt(address + offset);
  u8.fill(0, 0, DATA_AT);
  view.setBigUint64(MSGHDR.iov, at(IOV_AT), true);
  view.setBigUint64(MSGHDR.iovlen, 1n, true);
  view.setBigUint64(MSGHDR.control, controlBytes === 0 ? 0n : at(CONTROL_AT), true);
  view.setBigUint64(MSGHDR.controllen, BigInt(controlBytes), true);
  view.setBigUint64(IOV_AT, at(DATA_AT), true);
  view.setBigUint64(IOV_AT + 8, BigInt(dataBytes), true);
}

function isRights(): boolean {
  const { view } = block;
  return (
    view.getInt32(CONTROL_AT + CMSGHDR.level, true) === SOL_SOCKET &&
    view.getInt32(CONTROL_AT + CMSGHDR.type, true) === SCM_RIGHTS
  );
}
