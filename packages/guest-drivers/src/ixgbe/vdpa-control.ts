import {
  IVAR,
  ivarOffset,
  ivarShift,
  RX_QUEUE,
  TX_QUEUE,
  VF_REG,
  VIRTIO_MESSAGE,
  VIRTIO_MESSAGE_BYTES,
  VIRTIO_STATE_BYTES_MAX,
  VIRTIO_WORDS,
  VIRTIO_WRAPS,
  VTEICR_MASK,
  vfRxAt,
  vfTxAt,
} from '@ringwire/nic-spec/ixgbe';
import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';
import type { PciAccess } from '../access.js';
import { BREAK, type Breakdown, breakdown, isBreakdown } from '../breakdown.js';
import type { Patience } from '../patience.js';
import { disableMsix, enableMsix } from '../pci-msix.js';
import type { MsixMessage } from '../transport.js';
import { gatherParts, giveParts, type VdpaFacts, type VdpaRing } from '../vdpa-plane.js';
import { newIxgbeCounters } from './ixgbe-counters.js';
import { bindVf, type VfFunction } from './vf-function.js';
import { ANSWER } from './vf-mailbox.js';

const M = VIRTIO_MESSAGE;
const W = VIRTIO_WORDS;
const TWO_32 = 0x1_0000_0000;
/** Interrupt causes of configuration changes and of queues. */
const OTHERS = 0;

/** What the control plane works with. */
export interface IxgbeVdpaSetup {
  readonly access: PciAccess;
  /** Of vectors 0, configuration changes and control queue, 1 and 2, the first pair's queues. */
  readonly messages?: readonly MsixMessage[];
  /** Its pause lets the physical function's driver answer. */
  readonly patience?: Patience;
}

/**
 * Take a virtual function of an 82599 into use for a guest that drives virtio: the physical function's driver is asked as ever, for
 * the function's address and leave to send; then the data plane becomes virtio's.
 * @returns the control plane, or why not
 */
export function openIxgbeVdpaControl(setup: IxgbeVdpaSetup): IxgbeVdpaControl | Breakdown {
  const vf = bindVf(setup.access, setup.patience, newIxgbeCounters());
  if (isBreakdown(vf)) return vf;
  const grant = vf.begin(1);
  if (isBreakdown(grant)) return grant;
  const { mac } = grant;
  if (mac === undefined)
    return breakdown(
      BREAK.NOT_USABLE,
      'the physical function has no address for this function, want one that the host set',
    );
  const words = new Uint32Array(2);
  new Uint8Array(words.buffer).set(mac);
  if (vf.mailbox.request([M.ENTER, ...words]) !== ANSWER.ACK)
    return breakdown(BREAK.NOT_USABLE, 'ENTER was not answered with ACK: the function has no data plane of virtio’s');
  const at = W.ENTER.answer;
  const [configBytes, queues, queueSizeMax] = [at.configBytes, at.queues, at.queueSizeMax].map(
    (word) => vf.mailbox.words[word]!,
  ) as [number, number, number];
  if (setup.messages !== undefined) {
    enableMsix(setup.access, vf.bound.msix, setup.messages);
    mapVectors(vf, queues);
  }
  return new IxgbeVdpaControl(vf, { mac, configBytes, queues, queueSizeMax });
}

/** Vector of a virtqueue: the data queues of the first pair have one each, the others share one with changes. */
export const ixgbeVdpaVector = (queue: number): number => (queue < 2 ? queue + 1 : OTHERS);

function mapVectors({ registers }: VfFunction, queues: number): void {
  for (let queue = 0; queue < queues; queue++) {
    const at = VF_REG.VTIVAR + ivarOffset(queue >>> 1);
    const shift = ivarShift(queue >>> 1, (queue & 1) === 1);
    registers.change(at, (IVAR.VALID | ixgbeVdpaVector(queue)) << shift, 0xff << shift);
  }
  registers.write(VF_REG.VTIVAR_MISC, IVAR.VALID | OTHERS);
  // A message clears its own cause, and is not masked: the guest's driver suppresses what it does not want in its rings.
  registers.write(VF_REG.VTEIAC, VTEICR_MASK);
  registers.write(VF_REG.VTEIMS, VTEICR_MASK);
}

/**
 * The 82599's part of a vDPA device: what sets up, starts, suspends and reads a data plane that the guest drives itself. Each call
 * is a message in the mailbox; one that the card refuses comes back as a breakdown.
 */
export class IxgbeVdpaControl {
  readonly facts: VdpaFacts;
  private readonly vf: VfFunction;

  /** @see openIxgbeVdpaControl */
  constructor(vf: VfFunction, facts: VdpaFacts) {
    this.vf = vf;
    this.facts = facts;
  }

  /** Feature words 0–3 on offer. */
  features(): Uint32Array | Breakdown {
    const answer = this.ask('FEATURES');
    const at = W.FEATURES.answer.features;
    return isBreakdown(answer) ? answer : answer.slice(at, at + FEATURE_WORDS);
  }

  accept(features: Uint32Array): Breakdown | undefined {
    return this.order('ACCEPT', ...features);
  }

  /** The device status, virtio 1.4 §2.1. */
  status(): number | Breakdown {
    return this.statusMessage(0);
  }

  /** Write the device status; 0 resets the data plane. @returns what it reads now */
  setStatus(bits: number): number | Breakdown {
    return this.statusMessage(W.STATUS.WRITE | (bits & 0xff));
  }

  /** @param length at most 48 @returns a copy of bytes of the device configuration, and their generation */
  readConfig(offset: number, length: number): { readonly bytes: Uint8Array; readonly generation: number } | Breakdown {
    const answer = this.ask('CONFIG', offset, length);
    if (isBreakdown(answer)) return answer;
    const at = W.CONFIG.answer;
    return { bytes: bytesOf(answer, at.bytes).slice(0, length), generation: answer[at.generation]! };
  }

  /** Say where a queue is; it is opened when it becomes ready. */
  setQueue(index: number, { size, desc, driver, device }: VdpaRing): Breakdown | undefined {
    const areas = [desc, driver, device].flatMap((address) => [address >>> 0, Math.floor(address / TWO_32)]);
    return this.order('SET_QUEUE', index, size, ...areas);
  }

  /** Where a queue is to go on once it is ready. */
  setPosition(index: number, position: QueueState): Breakdown | undefined {
    const { lastAvailIdx, usedIdx } = position;
    const wraps =
      position.layout === 'split'
        ? 0
        : position.lastAvailWrapCounter * VIRTIO_WRAPS.AVAILABLE + position.usedWrapCounter * VIRTIO_WRAPS.USED;
    return this.order('SET_POSITION', index, (lastAvailIdx | (usedIdx << 16)) >>> 0, wraps);
  }

  /** Where the function stands in a queue: with the function suspended, or the queue not ready. */
  position(index: number): QueueState | Breakdown {
    const answer = this.ask('GET_POSITION', index);
    if (isBreakdown(answer)) return answer;
    const at = W.GET_POSITION.answer;
    const [lastAvailIdx, usedIdx] = [answer[at.positions]! & 0xffff, answer[at.positions]! >>> 16];
    if (answer[at.isPacked] === 0) return { layout: 'split', lastAvailIdx, usedIdx };
    const wraps = answer[at.wraps]!;
    return {
      layout: 'packed',
      lastAvailIdx,
      lastAvailWrapCounter: (wraps & VIRTIO_WRAPS.AVAILABLE) === 0 ? 0 : 1,
      usedIdx,
      usedWrapCounter: (wraps & VIRTIO_WRAPS.USED) === 0 ? 0 : 1,
    };
  }

  /** Start or stop a queue. */
  setReady(index: number, ready: boolean): Breakdown | undefined {
    return this.order('SET_READY', index, ready ? 1 : 0);
  }

  /** Touch no ring any more; what was taken is used first. */
  suspend(): Breakdown | undefined {
    return this.order('SUSPEND');
  }

  resume(): Breakdown | undefined {
    return this.order('RESUME');
  }

  /** What commands of the control queue made of the device, as device parts (virtio 1.4 §2.14). The function is suspended. */
  typeState(): Uint8Array | Breakdown {
    const at = W.GET_STATE.answer;
    return gatherParts(VIRTIO_STATE_BYTES_MAX, (offset) => {
      const answer = this.ask('GET_STATE', offset);
      if (isBreakdown(answer)) return answer;
      return { total: answer[at.total]!, bytes: bytesOf(answer, at.bytes).subarray(0, VIRTIO_MESSAGE_BYTES) };
    });
  }

  /** Have such parts in force when the device starts; between FEATURES_OK and DRIVER_OK. */
  setTypeState(parts: Uint8Array): Breakdown | undefined {
    return giveParts(parts, VIRTIO_STATE_BYTES_MAX, VIRTIO_MESSAGE_BYTES, (at, piece) => {
      const words = new Uint32Array(VIRTIO_MESSAGE_BYTES / 4);
      new Uint8Array(words.buffer).set(piece);
      return this.order('SET_STATE', at, parts.length, ...words);
    });
  }

  /** The doorbell of a queue: its tail register. */
  kick(index: number): void {
    const pair = index >>> 1;
    const at = (index & 1) === 0 ? vfRxAt(pair, RX_QUEUE.RDT) : vfTxAt(pair, TX_QUEUE.TDT);
    this.vf.registers.write(at, index);
  }

  /** Give the function back: it is reset, and does no DMA. */
  close(): undefined {
    disableMsix(this.vf.bound.access, this.vf.bound.msix);
    this.vf.reset();
  }

  private statusMessage(value: number): number | Breakdown {
    const answer = this.ask('STATUS', value);
    return isBreakdown(answer) ? answer : answer[W.STATUS.answer.status]!;
  }

  private order(name: keyof typeof VIRTIO_MESSAGE, ...words: number[]): Breakdown | undefined {
    const answer = this.ask(name, ...words);
    return isBreakdown(answer) ? answer : undefined;
  }

  /** @returns the answer's words, good until the next message */
  private ask(name: keyof typeof VIRTIO_MESSAGE, ...words: number[]): Uint32Array | Breakdown {
    const { mailbox } = this.vf;
    const answer = mailbox.request([M[name], ...words]);
    if (answer === ANSWER.ACK) return mailbox.words;
    if (answer === ANSWER.NACK) return breakdown(BREAK.NOT_USABLE, `message ${name} was refused, want ACK`);
    return breakdown(BREAK.MAILBOX_UNANSWERED, `message ${name} was not answered by the card`);
  }
}

/** Bytes from a word on; they are little-endian, as the machine is. */
const bytesOf = (words: Uint32Array, word: number): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset + 4 * word);
