import { VIRTIO_F, VIRTIO_F_LEGACY } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F, VIRTIO_NET_F_LEGACY } from '@ringwire/virtio-spec/net';
import { InvalidArgumentError } from 'commander';
import type { FaultCodes } from './vtd-dump.js';

/** Parsers of option values: each says what it wants instead. */

/** `0x5452000` or decimal; 64 bits. */
export function address(text: string): bigint {
  if (!/^(0x[0-9a-f]+|[0-9]+)$/i.test(text)) throw new InvalidArgumentError('Want an address such as 0x5452000.');
  const value = BigInt(text);
  if (value >= 1n << 64n) throw new InvalidArgumentError('Want an address of at most 64 bits.');
  return value;
}

export function integer(text: string): number {
  if (!/^(0x[0-9a-f]+|[0-9]+)$/i.test(text)) throw new InvalidArgumentError('Want a number such as 256.');
  return Number(text);
}

export function wrapCounter(text: string): 0 | 1 {
  if (text !== '0' && text !== '1') throw new InvalidArgumentError('Want 0 or 1.');
  return text === '0' ? 0 : 1;
}

/** A requester: `0x18`, `24`, or bus:device.function such as `00:03.0`. */
export function sourceId(text: string): number {
  const [, bus, device, fn] = /^([0-9a-f]{1,2}):([01]?[0-9a-f])\.([0-7])$/i.exec(text) ?? [];
  if (bus !== undefined && device !== undefined && fn !== undefined)
    return (Number.parseInt(bus, 16) << 8) | (Number.parseInt(device, 16) << 3) | Number(fn);
  return below(text, 0x10000, 'Want a source id such as 0x18 or 00:03.0.');
}

export const pasid = (text: string): number => below(text, 2 ** 20, 'Want a PASID from 0 to 1048575.');

export function addressWidth(text: string): number {
  const width = below(text, 53, 'Want 32 to 52 bits.');
  if (width < 32) throw new InvalidArgumentError('Want 32 to 52 bits.');
  return width;
}

function below(text: string, limit: number, want: string): number {
  const value = /^(0x[0-9a-f]+|[0-9]+)$/i.test(text) ? Number(text) : limit;
  if (value >= limit) throw new InvalidArgumentError(want);
  return value;
}

export function accessKind(text: string): 'read' | 'write' {
  if (text !== 'read' && text !== 'write') throw new InvalidArgumentError('Want read or write.');
  return text;
}

export function faultCodes(text: string): FaultCodes {
  if (text !== 'specification' && text !== 'qemu') throw new InvalidArgumentError('Want specification or qemu.');
  return text;
}

/** The reserved bits go before the network device's, and names of today before legacy ones. */
const FEATURES: Readonly<Record<string, number>> = {
  ...VIRTIO_NET_F_LEGACY,
  ...VIRTIO_NET_F,
  ...VIRTIO_F_LEGACY,
  ...VIRTIO_F,
};

/** Hex bits, or names separated by commas, with or without their VIRTIO_F_ or VIRTIO_NET_F_. */
export function features(text: string): bigint {
  if (/^0x[0-9a-f]+$/i.test(text)) return BigInt(text);
  let bits = 0n;
  for (const name of text.split(',').map((part) => part.trim())) {
    const bit = FEATURES[name.toUpperCase().replace(/^VIRTIO_(NET_|RING_)?F_/, '')];
    if (bit === undefined) {
      throw new InvalidArgumentError(
        `No feature is called ${name}. Want hex bits such as 0x130000000, or names such as VERSION_1,EVENT_IDX.`,
      );
    }
    bits |= 1n << BigInt(bit);
  }
  return bits;
}

export interface RamRange {
  readonly address: bigint;
  readonly size: bigint;
}

/** `0x0+0x8000000`, or `dump` for what the dump holds; the option may stand several times. */
export function ram(text: string, before: readonly (RamRange | 'dump')[] = []): readonly (RamRange | 'dump')[] {
  if (text === 'dump') return [...before, 'dump'];
  const [start, size, ...rest] = text.split('+');
  if (start === undefined || size === undefined || rest.length > 0) {
    throw new InvalidArgumentError('Want START+SIZE such as 0x0+0x8000000, or the word dump.');
  }
  return [...before, { address: address(start), size: address(size) }];
}

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `127.0.0.1:9100`, `[::1]:9100`, or a port of the loopback address alone. Port 0: any that is free. */
export function listenAddress(text: string): ListenAddress {
  const [, bracketed, plain, port] = /^(?:(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):)?([0-9]{1,5})$/i.exec(text) ?? [];
  if (port === undefined || Number(port) > 0xffff)
    throw new InvalidArgumentError('Want HOST:PORT, such as 127.0.0.1:9100.');
  return { host: bracketed ?? plain ?? '127.0.0.1', port: Number(port) };
}
