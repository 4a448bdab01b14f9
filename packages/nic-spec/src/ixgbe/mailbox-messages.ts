/**
 * Messages between the drivers of the two functions, as the public ixgbe and ixgbevf drivers speak them. The card
 * moves them and knows none. Word 0 is the type, with flags of the answer in its upper bits.
 */
export const MESSAGE = {
  VF_RESET: 0x01,
  SET_MAC_ADDR: 0x02,
  SET_MULTICAST: 0x03,
  SET_VLAN: 0x04,
  SET_LPE: 0x05,
  SET_MACVLAN: 0x06,
  API_NEGOTIATE: 0x08,
  GET_QUEUES: 0x09,
  GET_RETA: 0x0a,
  GET_RSS_KEY: 0x0b,
  UPDATE_XCAST_MODE: 0x0c,
  GET_LINK_STATE: 0x10,
  /** Of the physical function, without being asked. */
  PF_CONTROL: 0x0100,
} as const;

/** Parts of word 0. */
export const MESSAGE_WORD = {
  ACK: 0x8000_0000,
  NACK: 0x4000_0000,
  /** The virtual function may go on sending; without it: it is to reset first. */
  CTS: 0x2000_0000,
  TYPE_MASK: 0x0000_ffff,
  INFO_SHIFT: 16,
  INFO_MASK: 0xff,
} as const;

/** Word 1 of API_NEGOTIATE. */
export const MAILBOX_API = { V1_0: 0, V2_0: 1, V1_1: 2, V1_2: 3, V1_3: 4, V1_4: 5, V1_5: 6 } as const;

/** Answer to VF_RESET: 4 words, the address in words 1 and 2, the multicast filter type (MCSTCTRL.MO) in word 3. */
export const RESET_ANSWER = { WORDS: 4, MAC_WORD: 1, MULTICAST_TYPE_WORD: 3 } as const;

/** Answer to GET_QUEUES, as numbers of words. */
export const QUEUES_ANSWER = { TX_QUEUES: 1, RX_QUEUES: 2, TRANS_VLAN: 3, DEF_QUEUE: 4, WORDS: 5 } as const;

/** Word 1 of UPDATE_XCAST_MODE. */
export const XCAST_MODE = { NONE: 0, MULTI: 1, ALLMULTI: 2, PROMISC: 3 } as const;

/** SET_MULTICAST: number of hashes in the info field, two of 12 bits each to a word from word 1 on. */
export const MULTICAST_MESSAGE = { HASH_MASK: 0xfff, MOST: 30 } as const;

/** SET_VLAN: info is 1 to add, 0 to remove; word 1 is the VLAN. */
export const VLAN_MESSAGE = { ADD: 1, VLAN_WORD: 1, VLAN_MASK: 0xfff } as const;
