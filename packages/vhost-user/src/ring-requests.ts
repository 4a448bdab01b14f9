import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { takeEventFile } from './event-file.js';
import { VRING_ADDR, VRING_ADDR_F, VRING_FD, VRING_STATE } from './messages.js';
import type { Outcome } from './outcome.js';
import type { VhostPort } from './vhost-port.js';
import { POLLED, type Vring, type VringAddresses } from './vring.js';

/** What a front-end asks about its rings. */
export class RingRequests {
  /** Whether F_PROTOCOL_FEATURES was accepted: without it there is no other way to enable a ring than to start it. */
  hasProtocol = false;
  private readonly port: VhostPort;

  constructor(port: VhostPort) {
    this.port = port;
  }

  setSize(payload: DataView): Outcome {
    return this.withRing(payload, VRING_STATE.num, setSize);
  }

  setBase(payload: DataView): Outcome {
    return this.withRing(payload, VRING_STATE.num, setBase);
  }

  setEnabled(payload: DataView): Outcome {
    return this.withRing(payload, VRING_STATE.num, (vring, num) => this.enable(vring, num));
  }

  setAddresses(payload: DataView): Outcome {
    return this.withRing(payload, VRING_ADDR.flags, (vring, flags) => {
      const found = addressesOf(payload, flags);
      if (typeof found === 'string') return found;
      if (!vring.started) {
        vring.addresses = found;
        return undefined;
      }
      const { addresses } = vring;
      if (addresses?.desc !== found.desc || addresses.avail !== found.avail || addresses.used !== found.used)
        return `the addresses of ring ${vring.index} changed while it runs`;
      if (addresses.log === found.log) return undefined;
      return this.port.withoutRings(() => {
        vring.addresses = found;
        return undefined;
      });
    });
  }

  setEvent(which: 'kick' | 'call' | 'err', payload: DataView, fds: number[]): Outcome {
    const word = payload.getBigUint64(0, true);
    const flags = VRING_FD.INDEX_MASK | VRING_FD.NOFD;
    const vring = this.port.vrings[Number(word & BigInt(VRING_FD.INDEX_MASK))];
    if (vring === undefined || (word & ~BigInt(flags)) !== 0n) return `there is no ring ${word}`;
    const noFd = (word & BigInt(VRING_FD.NOFD)) !== 0n;
    if (noFd !== (fds.length === 0)) return noFd ? 'a descriptor where there is to be none' : 'no descriptor';
    const event = noFd ? POLLED : takeEventFile(which, fds);
    if (typeof event === 'string') return event;
    vring.setEvent(which, event);
    return which === 'kick' ? this.start(vring) : undefined;
  }

  /** VRING_KICK: a kick without an event, which starts the ring as well. */
  kick(payload: DataView): Outcome {
    return this.withRing(payload, VRING_STATE.num, (vring, num) => {
      if (num !== 0) return `num is ${num}, want 0`;
      const problem = vring.started ? undefined : this.start(vring);
      if (problem === undefined) this.port.available(vring);
      return problem;
    });
  }

  getBase(payload: DataView): Outcome {
    return this.withRing(payload, VRING_STATE.num, (vring) => {
      this.port.stopRing(vring);
      const answer = new Uint8Array(VRING_STATE.SIZE);
      const view = new DataView(answer.buffer);
      view.setUint32(VRING_STATE.index, vring.index, true);
      view.setUint32(VRING_STATE.num, vring.base, true);
      return answer;
    });
  }

  /** Find a request's ring. The whole word is compared, so that no index is good in its low bits alone. */
  private withRing(payload: DataView, field: number, use: (vring: Vring, value: number) => Outcome): Outcome {
    const index = payload.getUint32(VRING_STATE.index, true);
    const vring = this.port.vrings[index];
    return vring === undefined ? `there is no ring ${index}` : use(vring, payload.getUint32(field, true));
  }

  private start(vring: Vring): Outcome {
    vring.started = true;
    // Without protocol features there is no other way to enable a ring.
    if (!this.hasProtocol) vring.enabled = true;
    return this.settle(vring);
  }

  private enable(vring: Vring, value: number): Outcome {
    if (value > 1) return `enable is ${value}, want 0 or 1`;
    vring.enabled = value === 1;
    return this.settle(vring);
  }

  private settle(vring: Vring): Outcome {
    if (vring.started && vring.enabled && !hasFeature(this.port.features, VIRTIO_F.VERSION_1)) {
      vring.started = false;
      return 'VERSION_1 was not negotiated: there is no legacy interface';
    }
    const problem = this.port.settle(vring);
    if (problem !== undefined) vring.started = false;
    return problem;
  }
}

function setSize(vring: Vring, num: number): Outcome {
  if (vring.started) return `the size of ring ${vring.index} changed while it runs`;
  if (num < 1 || num > vring.sizeMax) return `size is ${num}, want 1 to ${vring.sizeMax}`;
  vring.size = num;
  return undefined;
}

function setBase(vring: Vring, num: number): Outcome {
  if (vring.started) return `the base of ring ${vring.index} changed while it runs`;
  vring.base = num;
  return undefined;
}

function addressesOf(payload: DataView, flags: number): VringAddresses | string {
  if ((flags & ~VRING_ADDR_F.LOG) !== 0) return `ring flags are ${flags}, want 0 or ${VRING_ADDR_F.LOG}`;
  const read = (field: number): number => {
    const address = payload.getBigUint64(field, true);
    return address < 2n ** 53n ? Number(address) : Number.NaN;
  };
  const [desc, avail, used] = [read(VRING_ADDR.desc), read(VRING_ADDR.avail), read(VRING_ADDR.used)];
  const log = flags === VRING_ADDR_F.LOG ? read(VRING_ADDR.log) : undefined;
  if ([desc, avail, used, log].some(Number.isNaN)) return 'a ring address beyond 2^53';
  return { desc, avail, used, log };
}
