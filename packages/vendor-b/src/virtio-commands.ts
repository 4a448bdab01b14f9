import {
  ADMIN_OP,
  ADMIN_STATUS,
  P_VIRTIO_ACCEPT,
  P_VIRTIO_CONFIG,
  P_VIRTIO_GET_STATE,
  P_VIRTIO_POSITION,
  P_VIRTIO_QUEUE,
  P_VIRTIO_READY,
  P_VIRTIO_SET_STATE,
  P_VIRTIO_STATUS,
  R_VIRTIO_CONFIG,
  R_VIRTIO_FEATURES,
  R_VIRTIO_POSITION,
  R_VIRTIO_STATE,
  R_VIRTIO_STATUS,
  VB_NO_VECTOR,
  VENDOR_B_COUNT,
} from '@ringwire/nic-spec/vendor-b';
import type { VirtioPlane } from '@ringwire/sriov-nic';
import { FEATURE_WORDS } from '@ringwire/virtio-spec';
import { VIRTIO_MSI_NO_VECTOR } from '@ringwire/virtio-spec/transport';
import type { QueueState } from '@ringwire/virtqueue';

const { OK, BAD_OPCODE, BAD_PARAMETER, BAD_STATE } = ADMIN_STATUS;
const TWO_32 = 0x1_0000_0000;
const ADDRESS_END = 2 ** 53;
const WRAP = { AVAILABLE: 1, USED: 2 } as const;

export const isVirtioOpcode = (opcode: number): boolean =>
  opcode >= ADMIN_OP.VIRTIO_FEATURES && opcode <= ADMIN_OP.VIRTIO_SET_STATE;

/** Carry out a command of the control plane of the virtio data plane. What it says is foreign. @returns its status */
export function virtioCommand(plane: VirtioPlane, opcode: number, parameters: DataView, results: DataView): number {
  const { device } = plane;
  switch (opcode) {
    case ADMIN_OP.VIRTIO_FEATURES:
      for (let word = 0; word < FEATURE_WORDS; word++)
        results.setUint32(R_VIRTIO_FEATURES.features + 4 * word, device.deviceFeatures(word), true);
      return OK;
    case ADMIN_OP.VIRTIO_ACCEPT:
      return accept(plane, parameters);
    case ADMIN_OP.VIRTIO_STATUS:
      return status(plane, parameters.getUint16(P_VIRTIO_STATUS.value, true), results);
    case ADMIN_OP.VIRTIO_CONFIG:
      return readConfig(plane, parameters, results);
    case ADMIN_OP.VIRTIO_GET_STATE:
      return getState(plane, parameters.getUint32(P_VIRTIO_GET_STATE.offset, true), results);
    case ADMIN_OP.VIRTIO_SET_STATE:
      return setState(plane, parameters);
    default:
      return queueCommand(plane, opcode, parameters, results);
  }
}

function accept({ device }: VirtioPlane, parameters: DataView): number {
  const at = P_VIRTIO_ACCEPT.features;
  const words = Uint32Array.from({ length: FEATURE_WORDS }, (_, word) => parameters.getUint32(at + 4 * word, true));
  if (words.some((word, index) => (word & ~device.deviceFeatures(index)) !== 0)) return BAD_PARAMETER;
  const { featureWritesIgnored } = device.counters;
  for (const [index, word] of words.entries()) device.acceptFeatures(index, word);
  return device.counters.featureWritesIgnored === featureWritesIgnored ? OK : BAD_STATE;
}

function status(plane: VirtioPlane, value: number, results: DataView): number {
  if ((value & P_VIRTIO_STATUS.WRITE) !== 0) plane.writeStatus(value & 0xff);
  results.setUint16(R_VIRTIO_STATUS.status, plane.device.status, true);
  return OK;
}

function readConfig({ device }: VirtioPlane, parameters: DataView, results: DataView): number {
  const at = parameters.getUint16(P_VIRTIO_CONFIG.offset, true);
  const length = parameters.getUint16(P_VIRTIO_CONFIG.length, true);
  if (length > P_VIRTIO_CONFIG.LENGTH_MAX || at + length > device.config.length) return BAD_PARAMETER;
  for (let byte = 0; byte < length; byte++)
    results.setUint8(R_VIRTIO_CONFIG.bytes + byte, device.config.read(at + byte, 1));
  results.setUint32(R_VIRTIO_CONFIG.generation, device.config.generation, true);
  return OK;
}

function getState(plane: VirtioPlane, offset: number, results: DataView): number {
  const at = R_VIRTIO_STATE;
  if (!plane.device.isStopped) return BAD_STATE;
  const state = plane.typeState();
  const part = state.subarray(offset, offset + at.BYTES_MAX);
  results.setUint32(at.total, state.length, true);
  for (const [byte, value] of part.entries()) results.setUint8(at.bytes + byte, value);
  return OK;
}

/** A piece at a time, in their order; the last one has them all judged, and taken or not. */
function setState(plane: VirtioPlane, parameters: DataView): number {
  const at = P_VIRTIO_SET_STATE;
  const [offset, total] = [parameters.getUint32(at.offset, true), parameters.getUint32(at.total, true)];
  if (total > at.TOTAL_MAX) return BAD_PARAMETER;
  const length = Math.min(at.BYTES_MAX, total - offset);
  if (offset > total || !plane.receiveState(offset, total, length, (byte) => parameters.getUint8(at.bytes + byte)))
    return BAD_PARAMETER;
  return OK;
}

function queueCommand(plane: VirtioPlane, opcode: number, parameters: DataView, results: DataView): number {
  const index = parameters.getUint16(P_VIRTIO_QUEUE.index, true);
  if (index >= plane.queues) return BAD_PARAMETER;
  switch (opcode) {
    case ADMIN_OP.VIRTIO_SET_QUEUE:
      return setQueue(plane, index, parameters);
    case ADMIN_OP.VIRTIO_SET_POSITION:
      return plane.setPosition(index, positionIn(parameters, plane.isPacked)) ? OK : BAD_STATE;
    case ADMIN_OP.VIRTIO_GET_POSITION:
      return getPosition(plane, index, results);
    case ADMIN_OP.VIRTIO_SET_READY:
      return plane.setReady(index, parameters.getUint16(P_VIRTIO_READY.ready, true) !== 0) ? OK : BAD_STATE;
    default:
      return BAD_OPCODE;
  }
}

function setQueue(plane: VirtioPlane, index: number, parameters: DataView): number {
  const at = P_VIRTIO_QUEUE;
  const vector = parameters.getUint16(at.vector, true);
  const address = (field: number): number =>
    parameters.getUint32(field + 4, true) * TWO_32 + parameters.getUint32(field, true);
  const desc = address(at.desc);
  const driver = address(at.driver);
  const device = address(at.device);
  const hasVector = vector < VENDOR_B_COUNT.VECTORS || vector === VB_NO_VECTOR;
  if (!hasVector || Math.max(desc, driver, device) >= ADDRESS_END) return BAD_PARAMETER;
  const size = parameters.getUint16(at.size, true);
  const setup = { size, vector: vector === VB_NO_VECTOR ? VIRTIO_MSI_NO_VECTOR : vector, desc, driver, device };
  return plane.setQueue(index, setup) ? OK : BAD_STATE;
}

/** Checked when the queue is opened there. */
function positionIn(parameters: DataView, isPacked: boolean): QueueState {
  const at = P_VIRTIO_POSITION;
  const lastAvailIdx = parameters.getUint16(at.available, true);
  const usedIdx = parameters.getUint16(at.used, true);
  if (!isPacked) return { layout: 'split', lastAvailIdx, usedIdx };
  const wraps = parameters.getUint16(at.wraps, true);
  return {
    layout: 'packed',
    lastAvailIdx,
    lastAvailWrapCounter: (wraps & WRAP.AVAILABLE) === 0 ? 0 : 1,
    usedIdx,
    usedWrapCounter: (wraps & WRAP.USED) === 0 ? 0 : 1,
  };
}

function getPosition(plane: VirtioPlane, index: number, results: DataView): number {
  const position = plane.position(index);
  if (position === undefined) return BAD_STATE;
  const at = R_VIRTIO_POSITION;
  results.setUint16(at.available, position.lastAvailIdx, true);
  results.setUint16(at.used, position.usedIdx, true);
  if (position.layout === 'split') return OK;
  const available = position.lastAvailWrapCounter * WRAP.AVAILABLE;
  results.setUint16(at.wraps, available | (position.usedWrapCounter * WRAP.USED), true);
  results.setUint16(at.isPacked, 1, true);
  return OK;
}
