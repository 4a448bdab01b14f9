/** What one set was checked for, and where it differs. */
export class Tally {
  readonly differences: string[] = [];
  omitted = 0;
  queues = 0;
  elements = 0;
  descriptors = 0;
  framesOut = 0;
  /** Bytes of transmitted frames whose pages were not saved. */
  bytesNotSaved = 0;
  placements = 0;
  returned = 0;
  /** Positions read from the bytes alone. */
  certain = 0;
  likely = 0;
  likelyWrong = 0;
  /** Positions that the saved part of a ring does not tell. */
  notInferred = 0;
  /** Violations that the driver is known for. */
  knownFaults = 0;
  /** Contiguous pieces of physical memory in which the device may do with ring parts and buffers what it has to. */
  reached = 0;
  /** Of our own device on the set's memory: frames it sent, bytes it changed, and bytes of memory that were compared. */
  deviceFrames = 0;
  deviceBytes = 0;
  deviceBytesCompared = 0;
  /** PCI functions, addresses in them, capabilities, and lines of lspci about them. */
  functions = 0;
  resources = 0;
  capabilities = 0;
  lines = 0;
  /** Statements about VT-d tables that were compared, by section of expected.json; undefined in a set without any. */
  tables: Readonly<Record<string, number>> | undefined;

  differ(message: string): void {
    if (this.differences.length < 20) this.differences.push(message);
    else this.omitted++;
  }

  /** @returns whether they are equal */
  equal(what: string, ours: number | string, theirs: number | string): boolean {
    if (ours === theirs) return true;
    this.differ(`${what} is ${ours}, the oracle says ${theirs}`);
    return false;
  }
}
