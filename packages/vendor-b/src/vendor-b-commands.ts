import {
  ADMIN_OP,
  ADMIN_STATUS,
  P_MAC,
  P_MODE,
  P_RECEIVE_MODE,
  P_VF_MAC,
  P_VF_TRUST,
  R_IDENTIFY,
  RECEIVE_MODE,
  VB_FRAME_MAX,
  VB_MODE,
  VB_RING_ENTRIES,
  VENDOR_B_COUNT,
} from '@ringwire/nic-spec/vendor-b';
import { VIRTIO_NET_CONFIG_SIZE } from '@ringwire/virtio-spec/net';
import { createCompletionRing, createSubmissionRing } from './native-commands.js';
import { isStationMac, sameMac } from './station.js';
import type { VendorBFunction } from './vendor-b-function.js';
import { isVirtioOpcode, virtioCommand } from './virtio-commands.js';

const { OK, BAD_OPCODE, BAD_PARAMETER, BAD_STATE, NOT_ALLOWED, BUSY } = ADMIN_STATUS;
const { PROMISCUOUS, ALL_MULTICAST, BROADCAST } = RECEIVE_MODE;
const MAC_BYTES = 6;

/** Carry out a command of a function's driver. What it says is foreign. @returns its `ADMIN_STATUS` */
export function vendorBCommand(
  function_: VendorBFunction,
  opcode: number,
  parameters: DataView,
  results: DataView,
): number {
  if (isVirtioOpcode(opcode)) {
    return function_.virtio === undefined ? BAD_STATE : virtioCommand(function_.virtio, opcode, parameters, results);
  }
  switch (opcode) {
    case ADMIN_OP.IDENTIFY:
      return identify(function_, results);
    case ADMIN_OP.SET_MODE:
      return setMode(function_, parameters.getUint16(P_MODE.mode, true));
    case ADMIN_OP.SET_MAC:
      return setMac(function_, macIn(parameters, P_MAC.mac));
    case ADMIN_OP.SET_RECEIVE_MODE:
      return setReceiveMode(function_, parameters.getUint16(P_RECEIVE_MODE.bits, true));
    case ADMIN_OP.CREATE_COMPLETION_RING:
    case ADMIN_OP.CREATE_SUBMISSION_RING:
      return createRing(function_, opcode, parameters);
    case ADMIN_OP.SUSPEND:
      return function_.suspend() ? OK : BUSY;
    case ADMIN_OP.RESUME:
      function_.resume();
      return OK;
    case ADMIN_OP.VF_SET_MAC:
    case ADMIN_OP.VF_SET_TRUST:
      return function_.index >= 0 ? BAD_OPCODE : setVirtual(function_, opcode, parameters);
    default:
      return BAD_OPCODE;
  }
}

function identify({ station, virtqueues }: VendorBFunction, results: DataView): number {
  const at = R_IDENTIFY;
  for (const [byte, value] of station.mac.entries()) results.setUint8(at.mac + byte, value);
  results.setUint16(at.frameMax, VB_FRAME_MAX, true);
  results.setUint16(at.entriesMax, VB_RING_ENTRIES.MAX, true);
  results.setUint16(at.configBytes, VIRTIO_NET_CONFIG_SIZE, true);
  results.setUint16(at.virtqueues, virtqueues, true);
  results.setUint16(at.virtqueueSize, VENDOR_B_COUNT.VIRTQUEUE_SIZE, true);
  return OK;
}

function setMode(function_: VendorBFunction, mode: number): number {
  if (mode !== VB_MODE.NATIVE && mode !== VB_MODE.VIRTIO) return BAD_PARAMETER;
  function_.setMode(mode);
  return OK;
}

function setMac({ card, index, station }: VendorBFunction, mac: Uint8Array): number {
  if (!isStationMac(mac)) return BAD_PARAMETER;
  if (sameMac(mac, station.mac)) return OK;
  if (!card.grantMac(index, mac)) return NOT_ALLOWED;
  station.mac.set(mac);
  return OK;
}

function setReceiveMode({ card, index, station }: VendorBFunction, bits: number): number {
  if ((bits & ~(PROMISCUOUS | ALL_MULTICAST | BROADCAST)) !== 0) return BAD_PARAMETER;
  if (!card.grantMode(index, bits)) return NOT_ALLOWED;
  station.mode = bits;
  return OK;
}

function createRing({ native, space, virtio }: VendorBFunction, opcode: number, parameters: DataView): number {
  if (virtio !== undefined) return BAD_STATE;
  return opcode === ADMIN_OP.CREATE_COMPLETION_RING
    ? createCompletionRing(native, space, parameters)
    : createSubmissionRing(native, space, parameters);
}

function setVirtual({ card }: VendorBFunction, opcode: number, parameters: DataView): number {
  const index = parameters.getUint16(P_VF_MAC.index, true);
  if (index >= card.totalVfs) return BAD_PARAMETER;
  if (opcode === ADMIN_OP.VF_SET_TRUST) {
    return card.setTrust(index, parameters.getUint16(P_VF_TRUST.trusted, true) !== 0) ? OK : BAD_PARAMETER;
  }
  const mac = macIn(parameters, P_VF_MAC.mac);
  return isStationMac(mac) && card.setMac(index, mac) ? OK : BAD_PARAMETER;
}

const macIn = (parameters: DataView, at: number): Uint8Array =>
  Uint8Array.from({ length: MAC_BYTES }, (_, byte) => parameters.getUint8(at + byte));
