/** RFC 7348 §5: flags, 24 bits reserved, VNI, 8 bits reserved. Offsets in bytes; the VNI is big-endian. */
export const VXLAN_HEADER = { flags: 0, vni: 4, SIZE: 8 } as const;
/** A valid VNI is there. The other flags are reserved: zero when sent, ignored when received. */
export const VXLAN_FLAG_I = 0x08;
/** RFC 7348 §8 */
export const VXLAN_PORT = 4789;
export const VXLAN_VNI_MAX = 0xff_ffff;
/** Bytes of IP, UDP and VXLAN headers in front of an Ethernet frame. */
export const VXLAN_OVERHEAD = { ipv4: 36, ipv6: 56 } as const;
