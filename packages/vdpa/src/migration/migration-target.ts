import type { VdpaDevice, VdpaMapping } from '../vdpa-device.js';
import { decodeImage } from './decode-image.js';
import { type DeviceImage, isImageRefusal } from './device-image.js';
import { type GuestPages, PAGE_BYTES } from './guest-pages.js';
import type { HandoverClaim } from './handover-claim.js';
import { decodeHello, getU64, ramProblem } from './hello.js';
import { loadImage, startImage } from './move-image.js';
import { fitProblems } from './move-obstacles.js';
import { applyMappings, decodeMappings } from './moved-mappings.js';
import { PAGES, RECORD_TYPE } from './record-layout.js';
import { type MoveRecord, RecordReader, RecordWriter } from './record-stream.js';
import { textBytes, textIn } from './record-text.js';

const T = RECORD_TYPE;
const MAPPINGS_LIMIT = 0x2_0000;

/** Where the guest that comes is to be. */
export interface MigrationTargetConfig {
  /** As after a reset; nobody else uses it meanwhile. */
  readonly device: VdpaDevice;
  /** As large as the source's, at the same addresses of the guest. What is in it is overwritten. */
  readonly ram: GuestPages;
  readonly send: (bytes: Uint8Array) => void;
  readonly claim: HandoverClaim;
  /** An interrupt of the driver's. */
  readonly notifyDriver: (index: number) => void;
  /** The guest goes on here: before its device does. */
  readonly startGuest?: () => void;
}

/** Where a target stands. `runs`: the guest is here. `ended`: it never will be. */
export type TargetState = 'waiting' | 'filling' | 'runs' | 'ended';

/**
 * The side of a move that a guest comes to. Everything that arrives is foreign: it is checked, and taken whole or not at all. Until
 * this side has the claim, nothing runs.
 */
export class MigrationTarget {
  state: TargetState = 'waiting';
  /** Why the guest does not come. */
  problem: string | undefined = undefined;
  private readonly config: MigrationTargetConfig;
  private readonly writer = new RecordWriter();
  private readonly reader = new RecordReader();
  private mappings: (VdpaMapping & { space: number })[] = [];
  private image: DeviceImage | undefined = undefined;
  private isLoaded = false;

  constructor(config: MigrationTargetConfig) {
    this.config = config;
  }

  get isOver(): boolean {
    return this.state === 'runs' || this.state === 'ended';
  }

  /** What the source says, foreign. */
  receive(bytes: Uint8Array): void {
    for (const record of this.reader.read(bytes)) {
      if (this.isOver) return;
      const problem = this.take(record);
      if (problem !== undefined) this.refuse(problem);
    }
    if (this.reader.problem !== undefined && !this.isOver) this.refuse(this.reader.problem);
  }

  /** The connection is gone, or this program died and another one looks after what is left. */
  lost(): void {
    if (this.isOver) return;
    if (this.isLoaded && this.image !== undefined) this.run(this.image);
    else this.end('the connection was lost');
  }

  /** @returns why the move goes no further */
  private take({ type, content }: MoveRecord): string | undefined {
    if (type === T.REFUSE) {
      this.end(`the source says: ${textIn(content)}`);
      return undefined;
    }
    if (this.state === 'waiting') return type === T.HELLO ? this.greet(content) : `record ${type} comes before HELLO`;
    // Once the device's state is there, its END is all that may follow.
    if (this.image !== undefined)
      return type === T.END && content.length === 0 ? this.load(this.image) : `record ${type} follows DEVICE`;
    if (this.mappings.length > 0 && (type === T.PAGES || type === T.ZEROS)) return `record ${type} follows MAPPINGS`;
    switch (type) {
      case T.PAGES:
      case T.ZEROS:
        return this.fill(type, content);
      case T.MAPPINGS:
        return this.takeMappings(content);
      case T.DEVICE:
        return this.takeImage(content);
      default:
        return `record ${type} comes in the middle of a move`;
    }
  }

  private greet(content: Uint8Array): string | undefined {
    const { device, ram } = this.config;
    const hello = decodeHello(content);
    if (isImageRefusal(hello)) return hello.refusal;
    if (device.status !== 0) return `the target has status 0x${device.status.toString(16)}, want one after a reset`;
    const problems = fitProblems(hello.fit, device);
    const problem = problems.length > 0 ? problems.join('; ') : ramProblem(hello, ram);
    if (problem !== undefined) return problem;
    this.state = 'filling';
    this.send(T.ACCEPT);
    return undefined;
  }

  /** Pages into RAM: all of a record's, or none. */
  private fill(type: number, content: Uint8Array): string | undefined {
    const { ram } = this.config;
    if (content.length < PAGES.SIZE) return `record ${type} has ${content.length} bytes, want at least ${PAGES.SIZE}`;
    const view = new DataView(content.buffer, content.byteOffset, content.length);
    const gpa = getU64(view, PAGES.gpa);
    const count = view.getUint32(PAGES.count, true);
    const wanted = PAGES.SIZE + (type === T.PAGES ? count * PAGE_BYTES : 0);
    if (content.length !== wanted)
      return `record ${type} has ${content.length} bytes for ${count} pages, want ${wanted}`;
    const host = count === 0 ? -1 : ram.hostOfRun(gpa, count);
    if (host < 0) return `${count} pages at ${gpa} are not of the guest’s RAM`;
    if (type === T.ZEROS) ram.memory.engine.fill(host, 0, count * PAGE_BYTES);
    else ram.memory.u8.set(content.subarray(PAGES.SIZE), host);
    return undefined;
  }

  private takeMappings(content: Uint8Array): string | undefined {
    const found = decodeMappings(content, this.config.ram);
    if (isImageRefusal(found)) return found.refusal;
    if (found.length === 0) return 'MAPPINGS has none';
    if (this.mappings.length + found.length > MAPPINGS_LIMIT) return `there are more than ${MAPPINGS_LIMIT} mappings`;
    this.mappings = [...this.mappings, ...found];
    return undefined;
  }

  private takeImage(content: Uint8Array): string | undefined {
    const image = decodeImage(content);
    if (isImageRefusal(image)) return image.refusal;
    this.image = image;
    return undefined;
  }

  /** Everything is here. The device is set up, and if nobody else runs it goes on. */
  private load(image: DeviceImage): string | undefined {
    const { device } = this.config;
    const problem = applyMappings(device, this.mappings) ?? loadImage(device, image)?.refusal;
    if (problem !== undefined) return problem;
    this.isLoaded = true;
    this.run(image);
    return undefined;
  }

  private run(image: DeviceImage): void {
    const { device, claim, notifyDriver, startGuest } = this.config;
    if (!claim.take('target')) {
      this.end('the guest runs at the source');
      return;
    }
    startGuest?.();
    const failed = startImage(device, image, notifyDriver);
    if (failed !== undefined) {
      // The device touched nothing: it did not start.
      claim.cede('target');
      this.refuse(failed.refusal);
      return;
    }
    this.state = 'runs';
    this.send(T.STARTED);
  }

  private refuse(problem: string): void {
    this.end(problem);
    this.send(T.REFUSE, textBytes(problem));
  }

  private end(problem: string): void {
    // Before HELLO was taken the device may be anybody's.
    if (this.state === 'filling') this.config.device.reset();
    this.state = 'ended';
    this.problem = problem;
  }

  private send(type: number, ...parts: readonly Uint8Array[]): void {
    this.config.send(this.writer.write(type, ...parts));
  }
}
