/** draft-ietf-opsawg-pcap §4 File Header. Byte offsets; the magic number tells the byte order of all fields. */
export const PCAP_HEADER = {
  magic: 0,
  version_major: 4,
  version_minor: 6,
  snaplen: 16,
  linktype: 20,
  SIZE: 24,
} as const;
/** draft-ietf-opsawg-pcap §5 Packet Record, without its data. */
export const PCAP_RECORD = { ts_sec: 0, ts_frac: 4, incl_len: 8, orig_len: 12, SIZE: 16 } as const;

export const PCAP_MAGIC = { MICROSECONDS: 0xa1b2c3d4, NANOSECONDS: 0xa1b23c4d } as const;
