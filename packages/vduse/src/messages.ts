import type { QueueState } from '@ringwire/virtqueue';
import { REQUEST, REQUEST_TYPE, RESPONSE, RESULT, VQ_STATE_PACKED, VQ_STATE_SPLIT } from './layouts.js';

/** What the kernel asks a device for. */
export type Request =
  | { readonly kind: 'get-vq-state'; readonly id: number; readonly index: number }
  | { readonly kind: 'set-status'; readonly id: number; readonly status: number }
  /** The translations of addresses from `first` to `last` are others now, or none; 64 bits. */
  | { readonly kind: 'update-iotlb'; readonly id: number; readonly first: bigint; readonly last: bigint };

/** Why a message is none, and the request to be answered with a failure if that much of it is there. */
export interface BadRequest {
  readonly kind: 'bad';
  readonly id: number | undefined;
  readonly problem: string;
}

/** Read a request, foreign input. @param bytes as many as were read */
export function readRequest(bytes: Uint8Array): Request | BadRequest {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes.length < REQUEST.SIZE) {
    const id = bytes.length < REQUEST.request_id + 4 ? undefined : view.getUint32(REQUEST.request_id, true);
    return { kind: 'bad', id, problem: `a request of ${bytes.length} bytes, want ${REQUEST.SIZE}` };
  }
  const id = view.getUint32(REQUEST.request_id, true);
  const type = view.getUint32(REQUEST.type, true);
  switch (type) {
    case REQUEST_TYPE.GET_VQ_STATE:
      return { kind: 'get-vq-state', id, index: view.getUint32(REQUEST.vq_index, true) };
    case REQUEST_TYPE.SET_STATUS:
      return { kind: 'set-status', id, status: view.getUint8(REQUEST.status) };
    case REQUEST_TYPE.UPDATE_IOTLB: {
      const [first, last] = [REQUEST.iova_start, REQUEST.iova_last].map((at) => view.getBigUint64(at, true)) as [
        bigint,
        bigint,
      ];
      if (first <= last) return { kind: 'update-iotlb', id, first, last };
      return { kind: 'bad', id, problem: `translations from 0x${first.toString(16)} to 0x${last.toString(16)}` };
    }
    default:
      return { kind: 'bad', id, problem: `a request of type ${type}` };
  }
}

/** The answer to a request. @param state of queue `index`, where it was asked for */
export function response(id: number, done: boolean, index = 0, state?: QueueState): Uint8Array {
  const bytes = new Uint8Array(RESPONSE.SIZE);
  const view = new DataView(bytes.buffer);
  view.setUint32(RESPONSE.request_id, id, true);
  view.setUint32(RESPONSE.result, done ? RESULT.OK : RESULT.FAILED, true);
  if (state === undefined) return bytes;
  view.setUint32(RESPONSE.vq_index, index, true);
  writeState(view, RESPONSE.vq_state, state);
  return bytes;
}

function writeState(view: DataView, at: number, state: QueueState): void {
  const put = (field: number, value: number): void => view.setUint16(at + field, value, true);
  if (state.layout === 'split') {
    put(VQ_STATE_SPLIT.avail_index, state.lastAvailIdx);
    return;
  }
  put(VQ_STATE_PACKED.last_avail_counter, state.lastAvailWrapCounter);
  put(VQ_STATE_PACKED.last_avail_idx, state.lastAvailIdx);
  put(VQ_STATE_PACKED.last_used_counter, state.usedWrapCounter);
  put(VQ_STATE_PACKED.last_used_idx, state.usedIdx);
}

/** Where the driver wants a queue to begin, foreign input: whoever opens the queue judges it. */
export function readState(view: DataView, at: number, isPacked: boolean): QueueState {
  const get = (field: number): number => view.getUint16(at + field, true);
  if (!isPacked) {
    const index = get(VQ_STATE_SPLIT.avail_index);
    return { layout: 'split', lastAvailIdx: index, usedIdx: index };
  }
  return {
    layout: 'packed',
    lastAvailIdx: get(VQ_STATE_PACKED.last_avail_idx) & 0x7fff,
    lastAvailWrapCounter: (get(VQ_STATE_PACKED.last_avail_counter) & 1) as 0 | 1,
    usedIdx: get(VQ_STATE_PACKED.last_used_idx) & 0x7fff,
    usedWrapCounter: (get(VQ_STATE_PACKED.last_used_counter) & 1) as 0 | 1,
  };
}

/** Where a queue begins that nobody has moved. virtio 1.4 §2.7, §2.8.1 */
export const startOf = (isPacked: boolean): QueueState =>
  isPacked
    ? { layout: 'packed', lastAvailIdx: 0, lastAvailWrapCounter: 1, usedIdx: 0, usedWrapCounter: 1 }
    : { layout: 'split', lastAvailIdx: 0, usedIdx: 0 };
