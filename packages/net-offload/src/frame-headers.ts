/**
 * An IP header and what it carries: where things lie, as byte offsets from the frame's start. Reused; only numbers.
 * Everything that has an offset lies whole in the bytes that were parsed.
 */
export class IpHeaders {
  /** 4 or 6. 0: there is no whole IP header, and nothing below means anything. */
  version = 0;
  at = 0;
  /** Bytes of the IP packet, header included, as its header claims: more or fewer than there are. */
  length = 0;
  /** Address fields of the header, 4 or 16 bytes. */
  source = 0;
  destination = 0;
  /** Where the addresses are that `_EX` hashes take: a Home Address option's and a type 2 routing header's, if any. */
  homeAddress = 0;
  routingAddress = 0;
  /** The destination of the pseudo header: with a routing header that still has segments left, the last of them. */
  finalDestination = 0;
  /** IPv6: extension headers follow, known or not. */
  extended = false;
  /** One fragment of several. None has a transport header here, not even the first. */
  fragment = false;
  /** IPv6: it has a fragment header and is whole nevertheless (RFC 6946). */
  atomic = false;
  /** IPv6: where a fragment header goes, and the byte that names the header there (RFC 8200 §4.5). */
  fragmentAt = 0;
  fragmentNameAt = 0;
  /** What `payload` begins with; -1 where a chain of extension headers is cut, malformed or too long. */
  protocol = 0;
  /** First byte behind the IP headers. */
  payload = 0;
  /** `IPPROTO.TCP` or `UDP` when a whole header of it is there, 0 otherwise. */
  transport = 0;
  /** Bytes of the transport header, TCP options included; it lies at `payload`. */
  transportBytes = 0;

  clear(): void {
    this.version = 0;
    this.at = 0;
    this.length = 0;
    this.source = 0;
    this.destination = 0;
    this.homeAddress = 0;
    this.routingAddress = 0;
    this.finalDestination = 0;
    this.extended = false;
    this.fragment = false;
    this.atomic = false;
    this.fragmentAt = 0;
    this.fragmentNameAt = 0;
    this.protocol = 0;
    this.payload = 0;
    this.transport = 0;
    this.transportBytes = 0;
  }

  copy(from: IpHeaders): void {
    this.version = from.version;
    this.at = from.at;
    this.length = from.length;
    this.source = from.source;
    this.destination = from.destination;
    this.homeAddress = from.homeAddress;
    this.routingAddress = from.routingAddress;
    this.finalDestination = from.finalDestination;
    this.extended = from.extended;
    this.fragment = from.fragment;
    this.atomic = from.atomic;
    this.fragmentAt = from.fragmentAt;
    this.fragmentNameAt = from.fragmentNameAt;
    this.protocol = from.protocol;
    this.payload = from.payload;
    this.transport = from.transport;
    this.transportBytes = from.transportBytes;
  }
}

/** What {@link parseFrame} finds, reused from frame to frame. */
export class FrameHeaders {
  /** There is a whole Ethernet header. */
  ethernet = false;
  /** VLAN tags that lie whole in the frame: 0 to 2. */
  vlanTags = 0;
  /** The outer tag's control information: priority, DEI, VLAN ID. */
  vlanTci = 0;
  /** Type of what follows the tags; a length below 0x600; -1 when it is cut off. */
  etherType = -1;
  /** What is behind Ethernet and tags. */
  readonly ip: IpHeaders = new IpHeaders();
  /**
   * VIRTIO_NET_HASH_TUNNEL_TYPE bits that the encapsulation matches, more than one where the specifications overlap (a
   * keyed GRE header over IPv6 is RFC 2890 and RFC 7676). 0: no tunnel, and nothing below means anything.
   */
  tunnelTypes = 0;
  /** What is inside the tunnel; `inner.version` is 0 when that is not IP. */
  readonly inner: IpHeaders = new IpHeaders();

  clear(): void {
    this.ethernet = false;
    this.vlanTags = 0;
    this.vlanTci = 0;
    this.etherType = -1;
    this.ip.clear();
    this.tunnelTypes = 0;
    this.inner.clear();
  }
}
