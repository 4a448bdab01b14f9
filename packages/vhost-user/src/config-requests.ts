import type { DeviceFacts } from './device-facts.js';
import { CONFIG } from './messages.js';
import type { Outcome } from './outcome.js';

/** GET_CONFIG: a part of the device's configuration. */
export function getConfig(facts: DeviceFacts, payload: DataView): Outcome {
  const range = configRange(facts, payload);
  // The protocol's word for a range that there is not: an answer without any.
  if (range === undefined) return new Uint8Array(0);
  const answer = new Uint8Array(payload.buffer.slice(0));
  answer.set(facts.config.subarray(range[0], range[1]), CONFIG.bytes);
  return answer;
}

export function setConfig(facts: DeviceFacts, payload: DataView): Outcome {
  const range = configRange(facts, payload);
  if (range === undefined) return 'the configuration is shorter';
  for (let at = range[0]; at < range[1]; at++)
    if (!facts.writeConfig(at, payload.getUint8(CONFIG.bytes + at - range[0])))
      return `byte ${at} of the configuration is not written`;
  return undefined;
}

/** Start and end of the configuration bytes that a request is for. */
function configRange(facts: DeviceFacts, payload: DataView): readonly [number, number] | undefined {
  const offset = payload.getUint32(CONFIG.offset, true);
  const size = payload.getUint32(CONFIG.size, true);
  const end = offset + size;
  return end <= facts.config.length && size === payload.byteLength - CONFIG.bytes ? [offset, end] : undefined;
}
