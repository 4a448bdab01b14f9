import { note, problem, type Reason } from './reason.js';
import type { DeviceSnapshot, NetSnapshot } from './snapshot-types.js';

/** What a driver can do about each kind of loss; a kind that nobody has to act on is a note. */
const LOSSES: Readonly<Record<string, { readonly level: Reason['level']; readonly why: string }>> = {
  TX_CHAIN_FAULT: { level: 'problem', why: 'the chain of descriptors is faulty' },
  TX_NO_FRAME: { level: 'problem', why: 'fewer bytes than a header and a byte of a frame' },
  TX_SHORT_FRAME: { level: 'problem', why: 'shorter than an Ethernet header' },
  TX_LONG_FRAME: { level: 'problem', why: 'longer than the MTU allows' },
  TX_BAD_CSUM: { level: 'problem', why: 'checksum fields do not fit the frame, or VIRTIO_NET_F_CSUM is missing' },
  TX_BAD_GSO: { level: 'problem', why: 'segmentation fields do not fit the frame, or were not negotiated' },
  TX_BAD_TUNNEL: { level: 'problem', why: 'a combination of tunnel bits that is forbidden' },
  TX_LINK_DOWN: { level: 'note', why: 'the link was down' },
  TX_REFUSED: { level: 'note', why: 'the backend refused them' },
  RX_STOPPED: { level: 'note', why: 'the device was not running' },
  RX_LINK_DOWN: { level: 'note', why: 'the link was down' },
  RX_SHORT_FRAME: { level: 'note', why: 'shorter than an Ethernet header' },
  RX_LONG_FRAME: { level: 'note', why: 'longer than the MTU allows' },
  RX_MAC_FILTER: { level: 'note', why: 'not for the addresses and receive modes that the driver set' },
  RX_VLAN_FILTER: { level: 'note', why: 'of a VLAN that the driver did not add' },
  RX_BAD_OFFLOAD: { level: 'note', why: 'offload fields from the backend do not fit the frame' },
  RX_QUEUE_OFF: { level: 'problem', why: 'the receive queue that steering chose is off' },
  RX_NO_BUFFER: { level: 'note', why: 'the driver had not posted enough receive buffers' },
  RX_SMALL_BUFFER: { level: 'problem', why: 'without MRG_RXBUF the next receive buffer is too small for the frame' },
  RX_BAD_BUFFER: { level: 'problem', why: 'a receive buffer is faulty, or smaller than the header' },
  CTRL_NO_ACK: { level: 'problem', why: 'a command has no byte for the answer' },
  CTRL_CHAIN_FAULT: { level: 'problem', why: "a command's chain of descriptors is faulty" },
  CTRL_REFUSED: { level: 'note', why: 'a command was answered VIRTIO_NET_ERR' },
};

/** Queues that the driver has to enable for frames to flow, or undefined: all of them. */
export function queuesInUse({ model }: DeviceSnapshot): ReadonlySet<number> | undefined {
  if (model === null) return undefined;
  const data = Array.from({ length: 2 * model.pairs }, (_, index) => index);
  return new Set(model.controlQueue === null ? data : [...data, model.controlQueue]);
}

/** What the device type adds to why nothing moves. */
export function explainModel({ model }: DeviceSnapshot): Reason[] {
  return model === null ? [] : explainNet(model);
}

function explainNet({ linkUp, backendFull, coalescing, drops }: NetSnapshot): Reason[] {
  const why: Reason[] = [];
  if (!linkUp) why.push(problem('The link is down: frames are dropped in both directions.'));
  for (const queue of backendFull)
    why.push(problem('the backend had no room for its next frame, which waits in the ring.', queue));
  for (const queue of coalescing)
    why.push(note('a notification is owed and waits to be coalesced with later ones.', queue));
  for (const [name, count] of Object.entries(drops)) {
    const { level, why: reason } = LOSSES[name] ?? { level: 'note', why: 'for a reason without a sentence here' };
    const text = `Given up as ${name}, ${count} ${count === 1 ? 'time' : 'times'}: ${reason}.`;
    why.push(level === 'problem' ? problem(text) : note(text));
  }
  return why;
}
