/** What becomes of the link of a function: it follows the wire's, or is up or down whatever that does. */
export type LinkSetting = 'auto' | 'enable' | 'disable';

/** A VLAN that a function is in without knowing it (VST): tags are put in and taken out by the switch. */
export interface PortVlan {
  /** 1 to 4094. */
  readonly id: number;
  /** Priority code point, 0 to 7. */
  readonly priority: number;
  /** Tag protocol identifier. */
  readonly protocol: 0x8100 | 0x88a8;
}

/**
 * Groups by a hash of their address, as hardware filters them: 12 bits of it, taken from its last two bytes, are a bit of
 * the table.
 */
export interface MulticastHash {
  /** 128 words: 4096 bits. */
  readonly table: Uint32Array;
  /** Which 12 of the last 16 bits of the address: bits 47:36, 46:35, 45:34 or 43:32 for 0 to 3. 82599 datasheet, MCSTCTRL.MO */
  readonly offset: 0 | 1 | 2 | 3;
}

/** What a function's own driver may ask for. The switch says no to what it was not trusted with. */
export interface PortWishes {
  /** Its address: where its frames come from, and whose frames it gets. 6 bytes. */
  readonly mac: Uint8Array;
  /** Further addresses whose frames it gets. */
  readonly unicast: readonly Uint8Array[];
  /** Groups whose frames it gets. */
  readonly multicast: readonly Uint8Array[];
  /** Groups that it gets as well; undefined: none. */
  readonly multicastHash: MulticastHash | undefined;
  /** It gets every frame that may be for it, to whatever address. */
  readonly promiscuous: boolean;
  /** It gets the frames to every group. */
  readonly allMulticast: boolean;
  readonly broadcast: boolean;
  /** VLANs whose frames it gets; 'all': whichever it is allowed. */
  readonly vlans: 'all' | ReadonlySet<number>;
  /** Frames without a tag. */
  readonly untagged: boolean;
  /** Longest frame that it takes, from the destination address on, in bytes. */
  readonly longestFrame: number;
}

/** Everything that is set for a port. Wishes are taken as they are when the host sets them. */
export interface PortSettings extends PortWishes {
  /** VLANs that a tag of its may have, in either direction (trunk); 'all': any. */
  readonly allowedVlans: 'all' | ReadonlySet<number>;
  readonly portVlan: PortVlan | undefined;
  /** Whether its driver may become promiscuous, or change an address that the host set. */
  readonly trusted: boolean;
  /** Frames from an address that is not the port's are dropped. */
  readonly checkMac: boolean;
  /** Frames with a tag whose VLAN the port is not in are dropped. */
  readonly checkVlan: boolean;
  /** Most that it may send, in Mbit/s; 0: as much as it can. */
  readonly maxTxRate: number;
  /** What it sends to an address of its own, or to a group that it is in, comes back to it. */
  readonly hairpin: boolean;
  /** What is kept for it when others send too, in Mbit/s; 0: nothing. */
  readonly minTxRate: number;
  readonly link: LinkSetting;
}
