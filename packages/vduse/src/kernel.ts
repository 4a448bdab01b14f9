import { close, errnoName, ioctl, NativeBytes, openDevice, readTo, SystemError, writeFrom } from '@ringwire/linux';

/** What devices are served to: a Linux kernel's VDUSE, or one that is made up. Errors are errno's names, as `EBUSY`. */
export interface VduseKernel {
  /** @returns a descriptor, whose calls never block and that can be waited for; or why there is none */
  open(path: string): number | string;
  close(fd: number): void;
  /** @param bytes what the request is about, changed in place. @returns what the kernel says, or why it does not */
  ioctl(fd: number, request: number, bytes: Uint8Array): number | string;
  /** @returns bytes of a message; a number below 0 when there is none */
  read(fd: number, into: Uint8Array): number;
  /** @returns bytes taken; a number below 0 when the message is not wanted */
  write(fd: number, bytes: Uint8Array): number;
}

/** Room for what any request is about: a device's name and numbers, and a page of configuration. */
const BLOCK_BYTES = 8192;

/** The kernel of this machine. */
export class LinuxVduse implements VduseKernel {
  private readonly block = new NativeBytes(BLOCK_BYTES);

  open(path: string): number | string {
    try {
      return openDevice(path);
    } catch (error) {
      if (error instanceof SystemError) return error.code;
      throw error;
    }
  }

  close(fd: number): void {
    close(fd);
  }

  ioctl(fd: number, request: number, bytes: Uint8Array): number | string {
    const { u8, address } = this.block;
    u8.set(bytes);
    const result = ioctl(fd, request, address);
    if (result < 0) return errnoName();
    bytes.set(u8.subarray(0, bytes.length));
    return result;
  }

  read(fd: number, into: Uint8Array): number {
    const { u8, address } = this.block;
    const got = readTo(fd, address, into.length);
    if (got > 0) into.set(u8.subarray(0, got));
    return got;
  }

  write(fd: number, bytes: Uint8Array): number {
    const { u8, address } = this.block;
    u8.set(bytes);
    return writeFrom(fd, address, bytes.length);
  }
}
