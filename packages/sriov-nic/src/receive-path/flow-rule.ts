import type { FrameHeaders } from '@ringwire/net-offload';

/** A flow by up to five of its fields; what is left out may be anything. Fragments have no ports, so none matches here. */
export interface FlowRule {
  /** Of IP: 6 for TCP, 17 for UDP. */
  readonly protocol?: number;
  /** 4 or 16 bytes. */
  readonly source?: Uint8Array;
  readonly destination?: Uint8Array;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

/** Whether a frame is of a flow. @param u8 the frame from its start, which `headers` was parsed from */
export function matchesFlow(rule: FlowRule, u8: Uint8Array, { ip }: FrameHeaders): boolean {
  if (ip.version === 0) return false;
  if (rule.protocol !== undefined && rule.protocol !== ip.protocol) return false;
  const bytes = ip.version === 4 ? 4 : 16;
  if (rule.source !== undefined && !isAt(u8, ip.source, bytes, rule.source)) return false;
  if (rule.destination !== undefined && !isAt(u8, ip.destination, bytes, rule.destination)) return false;
  if (rule.sourcePort === undefined && rule.destinationPort === undefined) return true;
  if (ip.transport === 0) return false;
  const at = ip.payload;
  if (rule.sourcePort !== undefined && rule.sourcePort !== portAt(u8, at)) return false;
  return rule.destinationPort === undefined || rule.destinationPort === portAt(u8, at + 2);
}

const portAt = (u8: Uint8Array, at: number): number => (u8[at]! << 8) | u8[at + 1]!;

function isAt(u8: Uint8Array, at: number, bytes: number, wanted: Uint8Array): boolean {
  if (wanted.length !== bytes) return false;
  for (let i = 0; i < bytes; i++) if (u8[at + i] !== wanted[i]) return false;
  return true;
}
