import { XCAST_MODE } from '@ringwire/nic-spec/ixgbe';

/** What a virtual function accepts beside frames to its own address: how far, and who decides. */
export type AcceptMode = 'none' | 'multicast' | 'allMulticast' | 'promiscuous';

/** By their numbers in UPDATE_XCAST_MODE. */
export const ACCEPT_MODES: readonly AcceptMode[] = modesByNumber();

function modesByNumber(): AcceptMode[] {
  const modes: AcceptMode[] = [];
  modes[XCAST_MODE.NONE] = 'none';
  modes[XCAST_MODE.MULTI] = 'multicast';
  modes[XCAST_MODE.ALLMULTI] = 'allMulticast';
  modes[XCAST_MODE.PROMISC] = 'promiscuous';
  return modes;
}

/** What to ask for: groups need a mode that lets them in. */
export const modeOf = ({ mode, multicast }: Pick<VfWishes, 'mode' | 'multicast'>): AcceptMode =>
  mode === 'none' && multicast.length > 0 ? 'multicast' : mode;

/** What a virtual function has asked for and got: what it asks for again when it begins anew. */
export interface VfWishes {
  /** Its user's; undefined: what the physical function gives it. */
  mac: Uint8Array<ArrayBuffer> | undefined;
  /** Bytes behind the Ethernet header. */
  mtu: number;
  mode: AcceptMode;
  multicast: readonly Uint8Array[];
  unicast: readonly Uint8Array[];
  readonly vlans: Set<number>;
}
