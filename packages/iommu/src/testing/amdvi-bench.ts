import { type AddressSpace, HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { AmdViUnit } from '../amdvi-unit.js';
import { type InvalidationSink, NO_PASID, newTranslation, type Translated, type Translation } from '../translation.js';

/** Where a test's structures lie in 1 MiB of memory. Numbers of the specification are written out in the tests. */
export const AT = {
  commands: 0x8000,
  events: 0x9000,
  /** 4 KiB: entries for the devices 0 to 127. */
  devices: 0x1_0000,
  /** Tables for levels 1, 2, 3, … */
  level: (level: number): number => 0x2_0000 + level * 0x1000,
  end: 0x10_0000,
} as const;

/** Bus 0, device 1, function 0. */
export const DEVICE = 8;
export const READ = 1;
export const WRITE = 2;

/** The bytes that the digits stand for; white space is for the eye. */
export function hex(literal: TemplateStringsArray): Uint8Array {
  const digits = literal.join('').replace(/\s+/g, '');
  if (!/^(?:[0-9a-f]{2})*$/i.test(digits)) throw new Error(`not whole bytes in hex: ${digits}`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** Writes down what it is told. */
export class RecordingSink implements InvalidationSink {
  readonly said: string[] = [];
  /** Called with each announcement before it returns. */
  meanwhile: (() => void) | undefined;

  all(): void {
    this.say('all');
  }
  domain(domain: number): void {
    this.say(`domain ${domain}`);
  }
  pages(domain: number, address: number, mask: number): void {
    this.say(`pages ${domain} 0x${address.toString(16)} 0x${mask.toString(16)}`);
  }
  requester(sourceId: number): void {
    this.say(`requester ${sourceId}`);
  }

  private say(what: string): void {
    this.said.push(what);
    this.meanwhile?.();
  }
}

/** A unit over a megabyte, with its interrupts and invalidations counted. */
export class AmdViBench {
  readonly memory: HostMemory = HostMemory.create(AT.end);
  readonly sink: RecordingSink = new RecordingSink();
  readonly unit: AmdViUnit;
  readonly out: Translation = newTranslation();
  interrupts = 0;
  /** What software does in its interrupt handler. */
  handler: (() => void) | undefined;

  constructor(levels: 4 | 5 | 6 = 6, wrap: (space: AddressSpace) => AddressSpace = (space) => space) {
    const interrupt = (): void => {
      this.interrupts++;
      this.handler?.();
    };
    this.unit = new AmdViUnit({ memory: wrap(new IdentitySpace(this.memory)), sink: this.sink, interrupt, levels });
  }

  /** Registers as a driver sets them: 128 device entries, 256 commands, 256 events; all on, with both interrupts. */
  start(): this {
    this.unit.write(0x0000, 8, 0x0000_0000_0001_0000n);
    this.unit.write(0x0008, 8, 0x0800_0000_0000_8000n);
    this.unit.write(0x0010, 8, 0x0800_0000_0000_9000n);
    this.unit.write(0x0018, 8, 0x0000_0000_0000_101dn);
    this.sink.said.length = 0;
    return this;
  }

  put64(address: number, value: bigint): void {
    this.memory.view.setBigUint64(address, value, true);
  }

  get64(address: number): bigint {
    return this.memory.view.getBigUint64(address, true);
  }

  bytes(address: number, length: number): Uint8Array {
    return this.memory.u8.slice(address, address + length);
  }

  /** A device table entry from its four quadwords. */
  device(id: number, q0: bigint, q1 = 5n, q2 = 0n, q3 = 0n): void {
    [q0, q1, q2, q3].forEach((quad, i) => {
      this.put64(AT.devices + id * 32 + i * 8, quad);
    });
  }

  /** One entry of the table of a level. */
  entry(level: number, index: number, value: bigint): void {
    this.put64(AT.level(level) + index * 8, value);
  }

  translate(address: number, access: number = READ, device: number = DEVICE, pasid: number = NO_PASID): Translated {
    return this.unit.translate(device, pasid, address, access, this.out);
  }

  /** The event in a slot of the log. */
  event(slot: number): Uint8Array {
    return this.bytes(AT.events + slot * 16, 16);
  }

  /** Events logged: the tail pointer in entries. */
  get logged(): number {
    return this.unit.read(0x2018, 4) / 16;
  }

  get status(): number {
    return this.unit.read(0x2020, 4);
  }

  /** Put commands into the buffer from its beginning, two quadwords each, and move the tail behind them. */
  command(...quads: bigint[]): void {
    const tail = this.unit.read(0x2008, 4);
    quads.forEach((quad, i) => {
      this.put64(AT.commands + ((tail + i * 8) % 4096), quad);
    });
    this.unit.write(0x2008, 4, (tail + quads.length * 8) % 4096);
  }
}

/** Three levels for DEVICE in domain 5, its address 0x3000 on page 0x7000 of memory, readable and writable. */
export function mappedBench(bench: AmdViBench = new AmdViBench()): AmdViBench {
  bench.start();
  bench.device(DEVICE, 0x6000_0000_0002_3603n);
  bench.entry(3, 0, 0x6000_0000_0002_2401n);
  bench.entry(2, 0, 0x6000_0000_0002_1201n);
  bench.entry(1, 3, 0x6000_0000_0000_7001n);
  return bench;
}
