import { wireBytes } from '@ringwire/eswitch';
import { FrameBurst, FramePool, openPciTransport, openPollDriver, type PollNetDriver } from '@ringwire/guest-drivers';
import { featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { opened } from '../net-driver-side.js';
import {
  askSegments,
  type Load,
  MESSAGE_MOST,
  type OutgoingFrame,
  outgoingFrames,
  patienceOf,
  RING_ENTRIES,
  type Station,
  type StationSetup,
} from './station.js';

const BURST = 32;
/** NEEDS_CSUM, and GSO_TCPV4. */
const [FLAGS, GSO_TYPE] = [1, 1];

/** What a poll-mode virtio driver negotiates here, behind an IOMMU. */
export function pollFeatures(rings: 'split' | 'packed', ...more: number[]): Uint32Array {
  const platform = [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM, VIRTIO_F.ORDER_PLATFORM];
  const net = [VIRTIO_NET_F.MAC, VIRTIO_NET_F.STATUS];
  return featureWords([...platform, ...net, ...(rings === 'packed' ? [VIRTIO_F.RING_PACKED] : []), ...more]);
}

/** A guest with a poll-mode driver on a virtio function: the function cuts messages up. */
export class PollStation implements Station {
  readonly kind = 'virtio';
  readonly mac: Uint8Array;
  received = 0;
  receivedWireBytes = 0;
  heard: Station['heard'] = undefined;
  private readonly driver: PollNetDriver;
  private readonly pool: FramePool;
  private readonly out: FrameBurst = new FrameBurst(1);
  private readonly back: FrameBurst = new FrameBurst(BURST);
  private what: Load | undefined = undefined;
  private frames: readonly OutgoingFrame[] = [];
  private next = 0;

  constructor(setup: StationSetup) {
    const { access, dma, mac, rings = 'packed' } = setup;
    this.pool = new FramePool(dma, { buffers: 4 * RING_ENTRIES });
    const transport = opened(openPciTransport(access));
    const features = pollFeatures(rings, VIRTIO_NET_F.CSUM, VIRTIO_NET_F.HOST_TSO4);
    const patience = patienceOf(setup);
    this.driver = opened(
      openPollDriver({ transport, dma, pool: this.pool, features, queueSize: RING_ENTRIES, patience }),
    );
    this.mac = mac;
  }

  get load(): Load | undefined {
    return this.what;
  }

  set load(load: Load | undefined) {
    this.what = load;
    this.frames = load === undefined ? [] : outgoingFrames(load, this.mac, MESSAGE_MOST);
    this.next = 0;
  }

  turn(): number {
    const { driver, back, pool } = this;
    let moved = driver.reclaim(0);
    for (;;) {
      back.clear();
      const came = driver.rxBurst(0, back);
      if (came === 0) break;
      for (let i = 0; i < came; i++) {
        this.receivedWireBytes += wireBytes(1, back.length[i]!);
        if (this.heard !== undefined) this.tell(this.heard, back.frame[i]!, back.length[i]!);
      }
      this.received += came;
      moved += came;
      pool.putBurst(back.frame, came);
    }
    while (this.frames.length > 0 && this.send(this.frames[this.next]!)) {
      this.next = (this.next + 1) % this.frames.length;
      moved++;
    }
    return moved;
  }

  sendOne(bytes: Uint8Array, isMessage = false): boolean {
    return this.send({ bytes, isMessage });
  }

  private tell(heard: (bytes: Uint8Array) => void, buffer: number, length: number): void {
    const at = this.pool.dataOf(buffer);
    heard(this.pool.memory.u8.slice(at, at + length));
  }

  /** There are no interrupts in poll mode. */
  message(_data: number): void {}

  private send({ bytes, isMessage }: OutgoingFrame): boolean {
    const { driver, pool, out } = this;
    const first = pool.fill(bytes);
    if (first < 0) return false;
    if (isMessage) {
      pool.setOffload(first, FLAGS, GSO_TYPE);
      pool.hdrLen[first] = TSO.hdrLen;
      pool.gsoSize[first] = TSO.gsoSize;
      pool.csumStart[first] = TSO.csumStart;
      pool.csumOffset[first] = TSO.csumOffset;
    }
    out.clear();
    out.push(first, bytes.length);
    if (driver.txBurst(0, out) === 1) return true;
    pool.put(first);
    return false;
  }
}

const TSO = { hdrLen: 0, gsoSize: 0, csumStart: 0, csumOffset: 0 };
askSegments(TSO);
