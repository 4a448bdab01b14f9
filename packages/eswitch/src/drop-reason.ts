/**
 * Why a switch did not hand a frame, or a copy of it, on: indexes of a port's drops. Those below NO_DEVICE are counted
 * where a frame came in, the others where it was to go out.
 */
export const ESWITCH_DROP = {
  /** Shorter than an Ethernet header with its tags, or longer than any frame. */
  LENGTH: 0,
  /** From a port whose link is down. */
  SENDER_DOWN: 1,
  /** From a group's address. IEEE 802.3 §3.2.3: a source is a station */
  SOURCE_GROUP: 2,
  /** To an address that a bridge does not forward to, 01-80-C2-00-00-00 to -0F. IEEE 802.1Q table 8-1 */
  RESERVED: 3,
  /** MAC control, which includes PAUSE, is between a station and its bridge. IEEE 802.3 annex 31B */
  MAC_CONTROL: 4,
  /** From an address that is not the port's. */
  MAC_SPOOF: 5,
  /** With a tag whose VLAN the port is not in. */
  VLAN_SPOOF: 6,
  /** With a tag, from a port that has a port VLAN, or with a tag that the port may not have. */
  VLAN_NOT_ALLOWED: 7,
  /** With a second tag behind one that does not decide alone where the frame belongs. */
  DOUBLE_TAGGED: 8,
  /** A flow rule says so. */
  RULE: 9,
  /** Nobody is there for it. */
  NO_RECEIVER: 10,
  /** A cable leads back into the switch once too often. */
  LOOP: 11,
  /** What is left to be done to it does not fit it. */
  BAD_OFFLOAD: 12,
  /** More frames of its kind than its sender may send. */
  STORM: 13,
  /** No device is plugged in. */
  NO_DEVICE: 14,
  /** To a port whose link is down. */
  RECEIVER_DOWN: 15,
  /** Longer than what the receiver takes. */
  TOO_LONG: 16,
  /** The receiver has no room. */
  NO_ROOM: 17,
  /** The receiver does not want it. */
  REFUSED: 18,
} as const;
/** The name of a reason in {@link ESWITCH_DROP}. */
export type EswitchDrop = keyof typeof ESWITCH_DROP;

const DROP_REASONS: number = Object.keys(ESWITCH_DROP).length;
/** In place of a reason: the frame goes on. */
export const NO_DROP = -1;

const NAMES = Object.keys(ESWITCH_DROP) as EswitchDrop[];

/** The name of a reason, such as `MAC_SPOOF`. @param reason an `ESWITCH_DROP` */
export function dropName(reason: number): EswitchDrop {
  return NAMES[reason]!;
}

/** The reasons in words. */
const TEXTS: Readonly<Record<EswitchDrop, string>> = {
  LENGTH: 'shorter than an Ethernet header with its tags, or longer than any frame',
  SENDER_DOWN: "its sender's link is down",
  SOURCE_GROUP: "from a group's address",
  RESERVED: 'to an address that a bridge does not forward to',
  MAC_CONTROL: 'MAC control is between a station and its bridge',
  MAC_SPOOF: "from an address that is not its sender's",
  VLAN_SPOOF: 'with a tag of a VLAN that its sender is not in',
  VLAN_NOT_ALLOWED: 'with a tag that its sender may not use',
  DOUBLE_TAGGED: 'with a second tag',
  RULE: 'a flow rule says so',
  NO_RECEIVER: 'nobody is there for it',
  LOOP: 'a cable leads back into the switch once too often',
  BAD_OFFLOAD: 'what is left to be done to it does not fit it',
  STORM: 'more of its kind than its sender may send',
  NO_DEVICE: 'no device is plugged in',
  RECEIVER_DOWN: "its receiver's link is down",
  TOO_LONG: 'longer than what its receiver takes',
  NO_ROOM: 'its receiver has no room',
  REFUSED: 'its receiver does not want it',
};

/** A reason in words, such as `from an address that is not its sender's`. @param reason an `ESWITCH_DROP` */
export function dropText(reason: number): string {
  return TEXTS[dropName(reason)];
}

/** What went through one port. Frames that are still to be cut up count once. */
export interface EswitchPortCounters {
  /** From the port's device. */
  inFrames: number;
  /** From the destination addresses on, as the device sent them. */
  inBytes: number;
  /** To the port's device. */
  outFrames: number;
  outBytes: number;
  /** Of the frames that came in here: copies that were made beyond the first one. */
  copies: number;
  /** By `ESWITCH_DROP`. */
  readonly drops: Float64Array;
}

export function newPortCounters(): EswitchPortCounters {
  return { inFrames: 0, inBytes: 0, outFrames: 0, outBytes: 0, copies: 0, drops: new Float64Array(DROP_REASONS) };
}
