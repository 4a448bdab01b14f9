/** What a virtual function accepts beside frames to its own address: how far, and who decides. */
export type AcceptMode = 'none' | 'multicast' | 'allMulticast' | 'promiscuous';

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
