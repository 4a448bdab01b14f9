/** virtio 1.4 §5.1.9.4.3.1 Supported/enabled hash types: a bit mask, in supported_hash_types and in commands. */
export const VIRTIO_NET_HASH_TYPE = {
  IPv4: 0x001,
  TCPv4: 0x002,
  UDPv4: 0x004,
  IPv6: 0x008,
  TCPv6: 0x010,
  UDPv6: 0x020,
  IP_EX: 0x040,
  TCP_EX: 0x080,
  UDP_EX: 0x100,
} as const;

/**
 * virtio 1.4 §5.1.9.4.5 Hash reporting for incoming packets: hash_report of the header, one value.
 * Value n > 0 stands for hash type 1 << (n - 1).
 */
export const VIRTIO_NET_HASH_REPORT = {
  NONE: 0,
  IPv4: 1,
  TCPv4: 2,
  UDPv4: 3,
  IPv6: 4,
  TCPv6: 5,
  UDPv6: 6,
  IPv6_EX: 7,
  TCPv6_EX: 8,
  UDPv6_EX: 9,
} as const;

/** virtio 1.4 §5.1.9.4.4.2: encapsulation types of the inner header hash, a bit mask in supported_tunnel_types. */
export const VIRTIO_NET_HASH_TUNNEL_TYPE = {
  GRE_2784: 0x001,
  GRE_2890: 0x002,
  GRE_7676: 0x004,
  GRE_UDP: 0x008,
  VXLAN: 0x010,
  VXLAN_GPE: 0x020,
  GENEVE: 0x040,
  IPIP: 0x080,
  NVGRE: 0x100,
} as const;
