/** An address of which the bits of a mask count; without a mask all do. 6 bytes each. */
export interface MacMatch {
  readonly mac: Uint8Array;
  readonly mask?: Uint8Array;
}

/** Addresses that begin with the same bits. */
export interface IpPrefix {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** 0 to 32 or 128. */
  readonly bits: number;
}

/** Everything that is given has to hold. A frame without what is asked about does not match. */
export interface FlowMatch {
  /** Numbers of the ports that it comes in at. */
  readonly ports?: readonly number[];
  readonly to?: MacMatch;
  readonly from?: MacMatch;
  /** VLAN of its first tag, that of a port VLAN included; 0: none. */
  readonly vlan?: number;
  /** What it carries behind its tags. */
  readonly etherType?: number;
  readonly source?: IpPrefix;
  readonly destination?: IpPrefix;
  /** Of IPv4 or IPv6, behind extension headers. */
  readonly protocol?: number;
  /** TCP's or UDP's, from one to another inclusive. Fragments have none. */
  readonly sourcePort?: readonly [number, number];
  readonly destinationPort?: readonly [number, number];
}

/** What becomes of a frame. After mirror, count and setVlan the rules that follow are asked as well. */
export type FlowAction =
  | { readonly kind: 'allow' | 'drop' | 'count' }
  | { readonly kind: 'redirect' | 'mirror'; readonly port: number }
  | { readonly kind: 'setVlan'; readonly id: number; readonly priority: number };

/** One rule of a switch: what becomes of frames that match. */
export interface FlowRule {
  /** For people. */
  readonly name?: string;
  readonly match: FlowMatch;
  readonly action: FlowAction;
}

/** Copies of what one port gets or sends, for another. */
export interface Mirror {
  readonly port: number;
  /** 'in': what comes in at the port and may; 'out': what goes out of it. */
  readonly direction: 'in' | 'out' | 'both';
  readonly to: number;
}
