/** Bytes of the smallest frame, without check sequence. */
const BYTES = 60;
const ETHERTYPE_AT = 12;
const OPERATION_AT = 20;
const REPLY = 2;
const ETHERTYPE_ARP = 0x0806;

/** RFC 826: who has `target`, asked by a station that is at 02:00:00:00:00:99 and `sender`. */
export function arpRequest(sender: readonly number[], target: readonly number[]): Uint8Array<ArrayBuffer> {
  const mac = [2, 0, 0, 0, 0, 0x99];
  const everybody = [255, 255, 255, 255, 255, 255];
  const nobody = [0, 0, 0, 0, 0, 0];
  const frame = new Uint8Array(BYTES);
  // Ethernet, then: hardware type 1, protocol IPv4, lengths 6 and 4, request.
  frame.set([...everybody, ...mac, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, ...mac, ...sender, ...nobody, ...target]);
  return frame;
}

export const isArpReply = (bytes: DataView, length: number): boolean =>
  length > OPERATION_AT + 1 &&
  bytes.getUint16(ETHERTYPE_AT) === ETHERTYPE_ARP &&
  bytes.getUint16(OPERATION_AT) === REPLY;
