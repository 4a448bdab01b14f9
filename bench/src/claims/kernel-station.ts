import { wireBytes } from '@ringwire/eswitch';
import { NetOffload, type ReceivedFrame, SENT } from '@ringwire/guest-drivers';
import { type IxgbePf, type IxgbeVf, openIxgbePf, openIxgbeVf } from '@ringwire/guest-drivers/ixgbe';
import { openVendorBDriver } from '@ringwire/guest-drivers/vendor-b';
import { opened } from '../net-driver-side.js';
import type { FunctionKind } from './function-kind.js';
import {
  askSegments,
  type Load,
  MESSAGE_MOST,
  MESSAGES,
  MSS,
  type OutgoingFrame,
  outgoingFrames,
  patienceOf,
  RING_ENTRIES,
  type Station,
  type StationSetup,
} from './station.js';

/** What is asked of a driver that is interrupted: one that cuts nothing up is given no message to cut up. */
type Driver = Pick<IxgbeVf, 'interrupt' | 'needsPoll' | 'poll' | 'sendBytes'>;

/** A frame that came in, good during the call that tells of it. */
type Came = Pick<ReceivedFrame, 'length' | 'bytes'>;

/** Pages for copies of frames that are sent: several of the longest. */
const COPY_PAGES = 128;

/** A guest, or the host, with an interrupt-driven driver of a vendor's own. */
class KernelStation implements Station {
  readonly kind: FunctionKind;
  readonly mac: Uint8Array;
  received = 0;
  receivedWireBytes = 0;
  heard: Station['heard'] = undefined;
  private readonly driver: Driver;
  /** Bytes of payload that the function cuts up; the guest does, where it cuts up nothing. */
  private readonly most: number;
  private readonly offload: NetOffload = new NetOffload();
  private what: Load | undefined = undefined;
  private frames: readonly OutgoingFrame[] = [];
  private next = 0;

  /** @param open makes the driver, which tells of frames */
  constructor(kind: FunctionKind, mac: Uint8Array, most: number, open: (told: (frame: Came) => void) => Driver) {
    this.kind = kind;
    this.mac = mac;
    this.most = most;
    this.offload.flags = 1;
    this.offload.gsoType = 1;
    askSegments(this.offload);
    this.driver = open((frame) => {
      this.received++;
      this.receivedWireBytes += wireBytes(1, frame.length);
      this.heard?.(frame.bytes());
    });
  }

  get load(): Load | undefined {
    return this.what;
  }

  set load(load: Load | undefined) {
    this.what = load;
    this.frames = load === undefined ? [] : outgoingFrames(load, this.mac, this.most);
    this.next = 0;
  }

  turn(): number {
    const before = this.received;
    let sent = 0;
    while (this.driver.needsPoll) sent += this.driver.poll();
    while (this.frames.length > 0 && this.send(this.frames[this.next]!)) {
      this.next = (this.next + 1) % this.frames.length;
      sent++;
    }
    return sent + this.received - before;
  }

  sendOne(bytes: Uint8Array, isMessage = false): boolean {
    return this.send({ bytes, isMessage });
  }

  message(data: number): void {
    this.driver.interrupt(data);
  }

  private send({ bytes, isMessage }: OutgoingFrame): boolean {
    return this.driver.sendBytes(bytes, isMessage ? this.offload : undefined) === SENT.OK;
  }
}

/** Of an 82599: its physical function's, which owns the card, or a virtual one's. @param vfs of the physical function */
export function ixgbeStation(setup: StationSetup, vfs: number | undefined): { station: Station; pf?: IxgbePf } {
  const { access, dma, mac, now } = setup;
  let pf: IxgbePf | undefined;
  const station = new KernelStation('82599', mac, MESSAGE_MOST, (told) => {
    const events = { frame: told };
    const common = {
      access,
      dma,
      mac,
      queueSize: RING_ENTRIES,
      copyPages: COPY_PAGES,
      messages: MESSAGES,
      now: () => now() / 1000,
      patience: patienceOf(setup),
      events,
    };
    if (vfs === undefined) return opened(openIxgbeVf(common));
    pf = opened(openIxgbePf({ ...common, vfs }));
    return pf;
  });
  return pf === undefined ? { station } : { station, pf };
}

/** Of vendor B's, which sends whole frames: messages are cut up by the guest. */
export function vendorBStation(setup: StationSetup): Station {
  const { access, dma, mac } = setup;
  return new KernelStation('vendor-b', mac, MSS, (told) =>
    opened(
      openVendorBDriver({
        access,
        dma,
        messages: [MESSAGES[0], MESSAGES[1]],
        patience: patienceOf(setup),
        entries: RING_ENTRIES,
        events: { frame: told },
      }),
    ),
  );
}
