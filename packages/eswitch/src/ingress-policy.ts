import { ETHERTYPE } from '@ringwire/net-offload';
import type { DecisionTrace } from './decision.js';
import { ESWITCH_DROP, NO_DROP } from './drop-reason.js';
import type { FrameHead } from './frame-head.js';
import { GROUP } from './mac-address.js';
import { hasBit } from './port-filters.js';
import type { SwitchPort } from './switch-port.js';
import { MAC_CONTROL } from './wire/mac-control.js';

/** 01-80-C2-00-00-00 to -0F, as an address's two numbers. */
const RESERVED_LOW = 0x00c2_8001;
const RESERVED_HIGH_MASK = 0xf0ff;
/** IEEE 802.1Q table 9-2: 0 is no VLAN but a priority, 0xfff no VLAN at all. */
const NO_VLAN = 0;
const RESERVED_VLAN = 0xfff;

/** Whether a frame is to an address that bridges do not forward to. IEEE 802.1Q table 8-1 */
export function isReserved(head: FrameHead): boolean {
  return head.toLow === RESERVED_LOW && (head.toHigh & RESERVED_HIGH_MASK) === 0;
}

/**
 * What a port may send, and the tag of its port VLAN put in.
 * @param head of the frame, which gets the tag
 * @returns NO_DROP, or the `ESWITCH_DROP` that the frame is lost for
 */
export function checkIngress(from: SwitchPort, head: FrameHead, trace: DecisionTrace | undefined): number {
  const drop = dropOf(from, head);
  if (drop !== NO_DROP) return drop;
  const { portVlan } = from.settings;
  if (portVlan === undefined) return NO_DROP;
  const { id, priority, protocol } = portVlan;
  // A priority tag makes room for the port's: with another protocol it stays, as any other tag, behind it.
  const replaces = head.tags > 0 && head.tagProtocol === protocol;
  head.setTag(protocol, id, priority, replaces);
  trace?.note(
    'port VLAN',
    `tag of VLAN ${id}, priority ${priority}, ${replaces ? 'in place of' : 'in front of'} what is there`,
    from.number,
  );
  return NO_DROP;
}

function dropOf(from: SwitchPort, head: FrameHead): number {
  const { kind, settings, filters } = from;
  if (!from.isUp) return ESWITCH_DROP.SENDER_DOWN;
  if (head.etherType < 0) return ESWITCH_DROP.LENGTH;
  if (head.etherType === MAC_CONTROL.TYPE) return ESWITCH_DROP.MAC_CONTROL;
  if ((head.fromLow & GROUP) !== 0) return ESWITCH_DROP.SOURCE_GROUP;
  if (kind === 'virtual' && isReserved(head)) return ESWITCH_DROP.RESERVED;
  if (settings.checkMac && !filters.owns(head.fromLow, head.fromHigh)) return ESWITCH_DROP.MAC_SPOOF;
  return head.tags === 0 ? NO_DROP : tagDrop(from, head);
}

function tagDrop({ settings, filters }: SwitchPort, head: FrameHead): number {
  const { portVlan, allowedVlans, checkVlan } = settings;
  const { vlan, tags } = head;
  const isPriority = vlan === NO_VLAN;
  if (vlan === RESERVED_VLAN) return ESWITCH_DROP.VLAN_NOT_ALLOWED;
  if (portVlan !== undefined) {
    // With a service tag in front, customer tags are the function's own affair. IEEE 802.1Q §15
    if (portVlan.protocol === ETHERTYPE.SERVICE_VLAN && head.tagProtocol !== ETHERTYPE.SERVICE_VLAN) return NO_DROP;
    if (!isPriority) return ESWITCH_DROP.VLAN_NOT_ALLOWED;
    return tags > 1 ? ESWITCH_DROP.DOUBLE_TAGGED : NO_DROP;
  }
  // What is behind the tag that is checked would count for a bridge that takes that one off.
  if (tags > 1 && (isPriority || allowedVlans !== 'all')) return ESWITCH_DROP.DOUBLE_TAGGED;
  if (isPriority) return NO_DROP;
  if (!hasBit(filters.allowed, vlan)) return ESWITCH_DROP.VLAN_NOT_ALLOWED;
  return checkVlan && !hasBit(filters.member, vlan) ? ESWITCH_DROP.VLAN_SPOOF : NO_DROP;
}
