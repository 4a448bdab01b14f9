import { ETHERNET, type FrameHeaders } from '@ringwire/net-offload';

const FNV_OFFSET = 0x811c_9dc5;
const FNV_PRIME = 0x0100_0193;
const PORTS_BYTES = 4;

/**
 * A number of 32 bits that all frames of a flow share: of addresses, protocol and ports where there are, of Ethernet
 * addresses otherwise. FNV-1a, with its bits mixed at the end.
 * @param u8 holds the frame's first bytes at `at`, @param headers what was found in them
 */
export function flowHash(u8: Uint8Array, at: number, headers: FrameHeaders): number {
  const { ip } = headers;
  let hash = FNV_OFFSET;
  if (ip.version === 0) hash = over(u8, at, ETHERNET.SIZE, hash);
  else {
    // Destination lies behind source in both versions.
    hash = over(u8, at + ip.source, ip.version === 4 ? 8 : 32, hash);
    hash = Math.imul(hash ^ ip.protocol, FNV_PRIME);
    if (ip.transport !== 0) hash = over(u8, at + ip.payload, PORTS_BYTES, hash);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  return (hash ^ (hash >>> 13)) >>> 0;
}

function over(u8: Uint8Array, at: number, bytes: number, start: number): number {
  let hash = start;
  for (let byte = 0; byte < bytes; byte++) hash = Math.imul(hash ^ u8[at + byte]!, FNV_PRIME);
  return hash;
}
