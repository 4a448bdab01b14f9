import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { formatChange, GuardedGuest, type GuestRange } from '@ringwire/guest-memory/testing';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import {
  BufferList,
  type DriverQueue,
  isRefusal,
  openDeviceQueue,
  openDriverQueue,
  type QueueConfig,
  UsedBurst,
} from '@ringwire/virtqueue';
import { expect } from 'vitest';
import { type InvalidationSink, NO_PASID, newTranslation, TRANSLATED } from '../translation.js';
import { VirtioIommu } from '../virtio-iommu-device.js';
import type { VirtioIommuOptions } from '../virtio-iommu-options.js';

export const LAYOUTS = ['split', 'packed'] as const;
type Layout = (typeof LAYOUTS)[number];

/** Where things lie in the guest; every region has guards around it. */
export const AT = { request: 0x1_0000, event: 0x1_4000, readable: 0x2_0000, writable: 0x3_0000, reports: 0x4_0000 };

/** Features by hand, virtio 1.4 §5.13.3: INPUT_RANGE, DOMAIN_RANGE, MAP_UNMAP, PROBE, MMIO, BYPASS_CONFIG. */
export const ALL_FEATURES = [0, 1, 2, 4, 5, 6] as const;

export const READ = 1;
export const WRITE = 2;

export interface IommuBenchOptions extends VirtioIommuOptions {
  readonly layout?: Layout;
  /** Device features that the driver accepts; all unless given. */
  readonly accept?: readonly number[];
  readonly queueSize?: number;
}

/** What came back of one request. */
export interface Answer {
  /** Used length. */
  readonly written: number;
  /** The device-writable bytes as hexadecimal; they were `cc` before. */
  readonly bytes: string;
}

/**
 * A virtio-iommu device with a driver that says what a test tells it to. Whatever the device does with a request, it
 * may only have changed its parts of the ring and as many bytes of the writable buffer as it says.
 */
export class IommuBench {
  readonly guest: GuardedGuest;
  readonly device: VirtioIommu;
  readonly request: DriverQueue;
  readonly event: DriverQueue;
  /** Queues that the device notified the driver of. */
  readonly notified: number[] = [];
  /** Calls of the invalidation sink. */
  readonly invalidated: string[] = [];
  readonly requestConfig: QueueConfig;
  private readonly eventConfig: QueueConfig;
  private readonly accepted: Uint32Array;
  private readonly used = new UsedBurst(256);
  private readonly out = newTranslation();
  private reportAt = AT.reports;
  private readonly reportOf = new Map<number, number>();

  constructor(options: IommuBenchOptions = {}) {
    const { layout = 'split', accept = ALL_FEATURES, queueSize = 16, ...device } = options;
    const regions = Object.entries(AT).map(([name, gpa]) => ({ gpa, size: name === 'reports' ? 0x8000 : 0x3000 }));
    this.guest = new GuardedGuest(regions, { patternedRam: true });
    this.device = new VirtioIommu({ invalidations: this.sink(), ...device });
    const features = featureWords(layout === 'packed' ? [VIRTIO_F.RING_PACKED] : []);
    const place = (at: number): QueueConfig => {
      return { space: this.guest.space, size: queueSize, desc: at, driver: at + 0x1000, device: at + 0x2000, features };
    };
    this.requestConfig = place(AT.request);
    this.eventConfig = place(AT.event);
    this.request = openDriverQueue(this.requestConfig);
    this.event = openDriverQueue(this.eventConfig);
    this.accepted = featureWords(accept);
    this.start();
  }

  /** Open the device's side, for the first time or after a reset. */
  start(): void {
    const request = openDeviceQueue(this.requestConfig);
    const event = openDeviceQueue(this.eventConfig);
    if (isRefusal(request) || isRefusal(event)) throw new Error('a queue of the bench is refused');
    const notify = (queue: number): void => {
      this.notified.push(queue);
    };
    this.device.start(this.accepted, { memory: this.guest.memory, request, event, notify });
  }

  /**
   * One request, handled and taken back.
   * @param readable the device-readable bytes
   * @param room     device-writable bytes
   * @param cuts     lengths of the readable and writable elements, where one of each is not enough
   */
  ask(readable: Uint8Array | string, room = 4, cuts: { read?: number[]; write?: number[] } = {}): Answer {
    const bytes = typeof readable === 'string' ? hex(readable) : readable;
    this.guest.write(AT.writable, new Uint8Array(room).fill(0xcc));
    this.offer(bytes, room, cuts);
    const since = this.guest.snapshot();
    expect(this.device.serveRequests(1)).toBe(1);
    this.used.clear();
    expect(this.request.takeUsed(this.used, 1)).toBe(1);
    const written = this.used.written[0]!;
    expect(this.used.outcome[0]).toBe(0);
    const allowed = [...this.deviceParts(this.requestConfig), { gpa: AT.writable, length: written }];
    expect(this.guest.changesOutside(since, allowed).map(formatChange)).toEqual([]);
    return { written, bytes: toHex(this.guest.read(AT.writable, room)) };
  }

  /** Make one request available, without waiting for it. */
  offer(readable: Uint8Array, room: number, cuts: { read?: number[]; write?: number[] } = {}): void {
    this.guest.write(AT.readable, readable);
    const list = new BufferList(16);
    let at = AT.readable;
    for (const length of cuts.read ?? (readable.length > 0 ? [readable.length] : [])) {
      list.addReadable(at, length);
      at += length;
    }
    at = AT.writable;
    for (const length of cuts.write ?? (room > 0 ? [room] : [])) {
      list.addWritable(at, length);
      at += length;
    }
    this.request.add(list);
    this.request.publish();
  }

  /** A request that is answered with its tail alone: the status. */
  status(readable: Uint8Array | string): number {
    const { written, bytes } = this.ask(readable);
    expect([written, bytes.slice(2)]).toEqual([4, '000000']);
    return Number.parseInt(bytes.slice(0, 2), 16);
  }

  /** Many requests of one length, a batch at a time. @returns how often each status came, -1 for unanswered ones */
  flood(count: number, make: (n: number) => Uint8Array): Map<number, number> {
    const { u8 } = this.guest.memory;
    const readable = this.guest.space.resolve(AT.readable, 0x3000, 1);
    const writable = this.guest.space.resolve(AT.writable, 0x3000, 1);
    const batch = this.request.size >> 1;
    const list = new BufferList(2);
    const slotOf = new Uint16Array(this.request.size);
    const seen = new Map<number, number>();
    for (let done = 0; done < count; ) {
      const many = Math.min(batch, count - done);
      for (let slot = 0; slot < many; slot++) {
        const bytes = make(done + slot);
        u8.set(bytes, readable + slot * 80);
        list.clear().addReadable(AT.readable + slot * 80, bytes.length);
        slotOf[this.request.add(list.addWritable(AT.writable + slot * 4, 4))] = slot;
      }
      this.request.publish();
      expect(this.device.serveRequests(many)).toBe(many);
      this.used.clear();
      this.request.takeUsed(this.used, many);
      for (let i = 0; i < many; i++) {
        const at = writable + slotOf[this.used.token[i]!]! * 4;
        const status = this.used.written[i] === 4 ? u8[at]! : -1;
        seen.set(status, (seen.get(status) ?? 0) + 1);
      }
      done += many;
    }
    return seen;
  }

  /** Post a buffer for one fault report. */
  post(length = 24, cuts: readonly number[] = [length]): void {
    const list = new BufferList(cuts.length);
    let at = this.reportAt;
    for (const cut of cuts) {
      list.addWritable(at, cut);
      at += cut;
    }
    this.guest.write(this.reportAt, new Uint8Array(length).fill(0xcc));
    this.reportOf.set(this.event.add(list), this.reportAt);
    this.reportAt += 64;
    this.event.publish();
  }

  /** Fault reports since the last call: used length and that many bytes. */
  reports(): string[] {
    this.used.clear();
    this.event.takeUsed(this.used, 256);
    return Array.from({ length: this.used.count }, (_, i) => {
      const at = this.reportOf.get(this.used.token[i]!)!;
      return toHex(this.guest.read(at, this.used.written[i]!));
    });
  }

  /** What becomes of a DMA request, in words: `OK 0xa123 mask 0xfff allowed 3`. */
  dma(endpoint: number, address: number, access: number, pasid: number = NO_PASID): string {
    const out = this.out;
    const outcome = this.device.translate(endpoint, pasid, address, access, out);
    const name = Object.entries(TRANSLATED).find(([, value]) => value === outcome)![0];
    if (outcome === TRANSLATED.FAULT || outcome === TRANSLATED.BLOCKED) return name;
    const { physical, pageMask, allowed } = out;
    return `${name} 0x${physical.toString(16)} mask 0x${pageMask.toString(16)} allowed ${allowed}`;
  }

  /** Bytes of the configuration as hexadecimal. */
  config(offset: number, length: number): string {
    const bytes = new Uint8Array(length).fill(0xcc);
    this.device.readConfig(offset, bytes);
    return toHex(bytes);
  }

  /** What the device may change of a queue. */
  deviceParts({ device, desc, size, features }: QueueConfig): GuestRange[] {
    if (features[1] !== 0)
      return [
        { gpa: desc, length: 16 * size },
        { gpa: device, length: 4 },
      ];
    return [{ gpa: device, length: 6 + 8 * size }];
  }

  get eventParts(): GuestRange[] {
    return this.deviceParts(this.eventConfig);
  }

  private sink(): InvalidationSink {
    const note = (text: string): void => {
      this.invalidated.push(text);
    };
    const x = (value: number): string => `0x${value.toString(16)}`;
    return {
      all: () => note('all'),
      domain: (domain) => note(`domain ${domain}`),
      pages: (domain, address, mask) => note(`pages ${domain} ${x(address)} ${x(mask)}`),
      requester: (sourceId) => note(`requester ${x(sourceId)}`),
    };
  }
}

/** The bytes that the digits stand for; white space is for the eye. */
export function hex(digits: string): Uint8Array {
  const close = digits.replace(/\s+/g, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(close)) throw new Error(`not whole bytes in hex: ${digits}`);
  return Uint8Array.from(close.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

export const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** Requests with offsets by hand out of virtio 1.4 §5.13.6.3 to §5.13.6.7. */
export const ask = {
  attach: (domain: number, endpoint: number, flags = 0, reserved = 0): Uint8Array =>
    words(1, domain, endpoint, flags, reserved),
  detach: (domain: number, endpoint: number): Uint8Array => words(2, domain, endpoint, 0, 0),
  map: (domain: number, start: Address, end: Address, physical: Address, flags: number): Uint8Array =>
    words(3, domain, ...two(start), ...two(end), ...two(physical), flags),
  unmap: (domain: number, start: Address, end: Address, reserved = 0): Uint8Array =>
    words(4, domain, ...two(start), ...two(end), reserved),
  probe: (endpoint: number): Uint8Array => words(5, endpoint, ...new Array<number>(16).fill(0)),
};

type Address = number | bigint;

function words(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 4);
  const view = new DataView(bytes.buffer);
  values.forEach((value, at) => {
    view.setUint32(4 * at, value, true);
  });
  return bytes;
}

const two = (value: Address): [number, number] => [Number(BigInt(value) & 0xffff_ffffn), Number(BigInt(value) >> 32n)];

/** Bytes in use once all garbage is gone. */
export function heapAfterGc(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}
