import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DONE, READY } from '../../examples/v86/src/guest-shell.js';
import { type GuestImage, guestPartsProblem } from './guest-image.js';
import { findProgram, Program } from './program.js';

const QEMU = 'qemu-system-x86_64';
/** Of a guest that needs no more. */
const MEMORY_MIB = 256;
/** How long a test with guests may take where two of them share a processor with others. */
export const PATIENCE_MS = 180_000;
/** Of suites with guests. On a busy machine a guest's serial port may lose some bytes of a command: it is tried once more. */
export const GUEST_SUITE = { timeout: PATIENCE_MS, retry: 1 } as const;

/** Why no Linux guest can be run here; undefined when one can. */
export function guestProblem(parts?: string): string | undefined {
  if (findProgram(QEMU) === undefined) return `${QEMU} is not installed (Debian: qemu-system-x86)`;
  return guestPartsProblem(parts);
}

/** A network device of a guest, behind a socket that ringwire serves. */
interface GuestNic {
  readonly socket: string;
  readonly mac: string;
  /** More properties of `virtio-net-pci`, as `packed=on,mq=on`. */
  readonly properties?: string;
  readonly queuePairs?: number;
  /** QEMU makes the socket and waits for a back-end that connects. */
  readonly listens?: boolean;
}

export interface GuestOptions {
  /** Names its files in the directory. */
  readonly name: string;
  readonly directory: string;
  readonly image: GuestImage;
  readonly nics: readonly GuestNic[];
  /** 1 unless given. */
  readonly processors?: number;
  readonly memoryMiB?: number;
  /** QEMU's name of the processor, `qemu64` unless given. */
  readonly processor?: string;
  /** It is not booted: it goes on as another one that migrates here, to a UNIX socket at this path. */
  readonly incoming?: string;
  /**
   * There is a VT-d unit, and the guest's kernel uses it for its devices: it takes translations back when there are many,
   * or one by one before it goes on.
   */
  readonly iommu?: 'lazy' | 'strict';
  /** More arguments of QEMU's. */
  readonly more?: readonly string[];
}

/** An invalidation of the guest's reaches a device only if it may have a translation cache: QEMU 7.2 wants it told so twice. */
const IOMMU = ['-machine', 'q35', '-device', 'intel-iommu,device-iotlb=on,intremap=off'];
const CACHES = 'iommu_platform=on,ats=on,disable-legacy=on';

/** A Linux in a QEMU that emulates the processor too, so that it runs where there is no KVM. */
export class LinuxGuest {
  /** Path of QEMU's own control socket. */
  readonly qmp: string;
  private readonly qemu: Program;
  private readonly log: string;
  /** What was read of its first serial port. */
  private read = 0;

  constructor(options: GuestOptions) {
    const { name, directory, image, nics, processor = 'qemu64', processors = 1, memoryMiB = MEMORY_MIB } = options;
    const { iommu, more = [] } = options;
    this.log = join(directory, `${name}.log`);
    this.qmp = join(directory, `${name}.qmp`);
    const machine = ['-accel', 'tcg', '-cpu', processor, '-smp', `${processors}`, '-m', `${memoryMiB}`];
    const bare = ['-nodefaults', '-no-user-config', '-display', 'none'];
    // The back-end maps the guest's memory: it has to be a file's.
    const memory = ['-object', `memory-backend-memfd,id=ram,size=${memoryMiB}M,share=on`, '-numa', 'node,memdev=ram'];
    const words = ['console=ttyS1 quiet panic=-1', ...(iommu === undefined ? [] : ['intel_iommu=on'])];
    if (iommu === 'strict') words.push('iommu.strict=1');
    const boot = ['-kernel', image.kernel, '-initrd', image.initrd, '-append', words.join(' ')];
    const ports = ['-serial', 'stdio', '-serial', `file:${this.log}`, '-qmp', `unix:${this.qmp},server=on,wait=off`];
    const arrival = options.incoming === undefined ? [] : ['-incoming', `unix:${options.incoming}`];
    this.qemu = new Program(QEMU, [
      ...[...machine, ...bare, ...memory, ...boot, ...ports, ...arrival],
      ...(iommu === undefined ? nics.flatMap(nicArgs) : [...IOMMU, ...nics.flatMap(translatedNicArgs)]),
      ...more,
    ]);
  }

  /** Wait for the end of its first boot, or of another one since the last command. */
  async booted(): Promise<void> {
    await this.next(READY);
  }

  /**
   * Run a line of shell and wait for its end.
   * @returns what it said
   * @throws Error, with what it said, when its exit code is not 0
   */
  async run(line: string): Promise<string> {
    this.send(line);
    const [said, code] = await this.next(DONE);
    if (code !== '0') throw new Error(`${line}: exit code ${code}, said ${said}`);
    return said;
  }

  /** Run a line of shell that does not come to its end, such as one that boots anew. */
  send(line: string): void {
    this.qemu.write(`${line}\n`);
  }

  /** What QEMU complained of so far. */
  get complaints(): string {
    return this.qemu.err;
  }

  async kill(): Promise<void> {
    await this.qemu.kill();
  }

  /** What came before a line, and the number in the line. */
  private async next(line: RegExp): Promise<[string, string | undefined]> {
    try {
      const from = this.read;
      const { 0: whole, 1: number, index } = await this.qemu.printed(line, from);
      this.read = from + index + whole.length + 1;
      return [this.qemu.out.slice(from, from + index), number];
    } catch (error) {
      throw new Error(`${(error as Error).message}\nthe guest's kernel said: ${readFileSync(this.log, 'latin1')}`);
    }
  }
}

/** No interrupt vectors: QEMU 7.2 without KVM ends by itself where a vhost-user device has MSI-X. */
function nicArgs({ socket, mac, properties, queuePairs = 1, listens = false }: GuestNic, index: number): string[] {
  const more = properties === undefined ? '' : `,${properties}`;
  const role = listens ? 'server=on' : 'reconnect=1';
  return [
    ...['-chardev', `socket,id=c${index},path=${socket},${role}`],
    ...['-netdev', `vhost-user,id=n${index},chardev=c${index},queues=${queuePairs}`],
    ...['-device', `virtio-net-pci,netdev=n${index},mac=${mac},vectors=0,romfile=${more}`],
  ];
}

/** The same behind a VT-d unit. On the root bus QEMU leaves the capability out by which a guest finds the translation cache. */
function translatedNicArgs({ properties, ...nic }: GuestNic, index: number): string[] {
  const place = [`bus=port${index}`, CACHES, ...(properties === undefined ? [] : [properties])].join();
  const port = ['-device', `pcie-root-port,id=port${index},chassis=${index + 1}`];
  return [...port, ...nicArgs({ ...nic, properties: place }, index)];
}
