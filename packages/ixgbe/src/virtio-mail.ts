import {
  MESSAGE_WORD,
  VFMBMEM_WORDS,
  VIRTIO_MESSAGE,
  VIRTIO_MESSAGE_BYTES,
  VIRTIO_STATE_BYTES_MAX,
  VIRTIO_WORDS,
  VIRTIO_WRAPS,
} from '@ringwire/nic-spec/ixgbe';
import type { VirtioPlane } from '@ringwire/sriov-nic';
import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import type { QueueState } from '@ringwire/virtqueue';

const M = VIRTIO_MESSAGE;
const W = VIRTIO_WORDS;
const TWO_32 = 0x1_0000_0000;
const ADDRESS_END = 2 ** 53;
/** Interrupt entries are registers of the function's: a queue has one, whichever vector it says. */
const TOLD = 0;
const MAC_BYTES = 6;

/** What the function does when it is told to begin with virtio. @returns undefined where it has no such data plane */
type Enter = (mac: Uint8Array) => VirtioPlane | undefined;

/**
 * Carry out a message about the virtio data plane, foreign, and put the answer in its place.
 * @returns false for a message of another kind, which is left as it is
 */
export function answerVirtioMail(words: Uint32Array, plane: VirtioPlane | undefined, enter: Enter): boolean {
  const type = words[0]! & MESSAGE_WORD.TYPE_MASK;
  if (type < M.ENTER || type > M.SET_STATE) return false;
  const asked = words.slice();
  words.fill(0, 1);
  const isDone =
    type === M.ENTER ? begin(enter(macIn(asked)), words) : plane !== undefined && carryOut(type, asked, words, plane);
  words[0] = type | (isDone ? MESSAGE_WORD.ACK : MESSAGE_WORD.NACK) | MESSAGE_WORD.CTS;
  return true;
}

function begin(plane: VirtioPlane | undefined, answer: Uint32Array): boolean {
  if (plane === undefined) return false;
  const at = W.ENTER.answer;
  answer[at.configBytes] = plane.device.config.length;
  answer[at.queues] = plane.queues;
  answer[at.queueSizeMax] = plane.device.model.queueSizes[0]!;
  return true;
}

function carryOut(type: number, asked: Uint32Array, answer: Uint32Array, plane: VirtioPlane): boolean {
  const { device } = plane;
  switch (type) {
    case M.FEATURES:
      for (let word = 0; word < FEATURE_WORDS; word++)
        answer[W.FEATURES.answer.features + word] = device.deviceFeatures(word);
      return true;
    case M.ACCEPT:
      return accept(asked.subarray(W.ACCEPT.features, W.ACCEPT.features + FEATURE_WORDS), plane);
    case M.STATUS:
      if ((asked[W.STATUS.value]! & W.STATUS.WRITE) !== 0) plane.writeStatus(asked[W.STATUS.value]! & 0xff);
      answer[W.STATUS.answer.status] = device.status;
      return true;
    case M.CONFIG:
      return readConfig(asked, answer, plane);
    case M.SUSPEND:
      return plane.suspend();
    case M.RESUME:
      plane.resume();
      return true;
    case M.GET_STATE:
      return getState(asked[W.GET_STATE.offset]!, answer, plane);
    case M.SET_STATE:
      return setState(asked, plane);
    default:
      return queueMail(type, asked, answer, plane);
  }
}

function accept(features: Uint32Array, { device }: VirtioPlane): boolean {
  if (features.some((word, at) => (word & ~device.deviceFeatures(at)) !== 0)) return false;
  const { featureWritesIgnored } = device.counters;
  for (const [at, word] of features.entries()) device.acceptFeatures(at, word);
  return device.counters.featureWritesIgnored === featureWritesIgnored;
}

function readConfig(asked: Uint32Array, answer: Uint32Array, { device }: VirtioPlane): boolean {
  const at = asked[W.CONFIG.offset]!;
  const length = asked[W.CONFIG.length]!;
  if (length > VIRTIO_MESSAGE_BYTES || at + length > device.config.length) return false;
  const bytes = bytesFrom(answer, W.CONFIG.answer.bytes);
  for (let byte = 0; byte < length; byte++) bytes[byte] = device.config.read(at + byte, 1);
  answer[W.CONFIG.answer.generation] = device.config.generation;
  return true;
}

function getState(offset: number, answer: Uint32Array, plane: VirtioPlane): boolean {
  if (!plane.device.isStopped) return false;
  const state = plane.typeState();
  answer[W.GET_STATE.answer.total] = state.length;
  bytesFrom(answer, W.GET_STATE.answer.bytes).set(state.subarray(offset, offset + VIRTIO_MESSAGE_BYTES));
  return true;
}

function setState(asked: Uint32Array, plane: VirtioPlane): boolean {
  const offset = asked[W.SET_STATE.offset]!;
  const total = asked[W.SET_STATE.total]!;
  if (total > VIRTIO_STATE_BYTES_MAX || offset > total) return false;
  const bytes = bytesFrom(asked, W.SET_STATE.bytes);
  return plane.receiveState(offset, total, Math.min(VIRTIO_MESSAGE_BYTES, total - offset), (at) => bytes[at]!);
}

function queueMail(type: number, asked: Uint32Array, answer: Uint32Array, plane: VirtioPlane): boolean {
  const index = asked[W.SET_QUEUE.index]!;
  if (index >= plane.queues) return false;
  switch (type) {
    case M.SET_QUEUE: {
      const [desc, driver, device] = [W.SET_QUEUE.desc, W.SET_QUEUE.driver, W.SET_QUEUE.device].map(
        (word) => asked[word]! + asked[word + 1]! * TWO_32,
      ) as [number, number, number];
      if (Math.max(desc, driver, device) >= ADDRESS_END) return false;
      return plane.setQueue(index, { size: asked[W.SET_QUEUE.size]!, vector: TOLD, desc, driver, device });
    }
    case M.SET_POSITION:
      return plane.setPosition(index, positionIn(asked, plane.isPacked));
    case M.GET_POSITION:
      return getPosition(plane.position(index), answer);
    case M.SET_READY:
      return plane.setReady(index, asked[W.SET_READY.ready] !== 0);
    default:
      return false;
  }
}

/** Judged when the queue becomes ready. */
function positionIn(asked: Uint32Array, isPacked: boolean): QueueState {
  const positions = asked[W.SET_POSITION.positions]!;
  const [lastAvailIdx, usedIdx] = [positions & 0xffff, positions >>> 16];
  if (!isPacked) return { layout: 'split', lastAvailIdx, usedIdx };
  const wraps = asked[W.SET_POSITION.wraps]!;
  return {
    layout: 'packed',
    lastAvailIdx,
    lastAvailWrapCounter: (wraps & VIRTIO_WRAPS.AVAILABLE) === 0 ? 0 : 1,
    usedIdx,
    usedWrapCounter: (wraps & VIRTIO_WRAPS.USED) === 0 ? 0 : 1,
  };
}

function getPosition(position: QueueState | undefined, answer: Uint32Array): boolean {
  if (position === undefined) return false;
  const at = W.GET_POSITION.answer;
  answer[at.positions] = position.lastAvailIdx | (position.usedIdx << 16);
  if (position.layout === 'split') return true;
  answer[at.wraps] =
    position.lastAvailWrapCounter * VIRTIO_WRAPS.AVAILABLE + position.usedWrapCounter * VIRTIO_WRAPS.USED;
  answer[at.isPacked] = 1;
  return true;
}

const macIn = (asked: Uint32Array): Uint8Array => bytesFrom(asked, W.ENTER.mac).slice(0, MAC_BYTES);

/** Bytes from a word on to the end of the mailbox's memory; they are little-endian, as the machine is. */
const bytesFrom = (words: Uint32Array, word: number): Uint8Array =>
  new Uint8Array(words.buffer, words.byteOffset + 4 * word, 4 * (VFMBMEM_WORDS - word));
