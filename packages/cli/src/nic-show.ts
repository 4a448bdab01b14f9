import type { CountingPort, PortVlan } from '@ringwire/eswitch';
import { z } from 'zod';
import { HEADER_BYTES, type NicCard, portDrops } from './nic-card.js';
import { macText } from './nic-names.js';

const ALL_STATIONS = 'ff:ff:ff:ff:ff:ff';
const PROTOCOLS = { 33024: '802.1Q', 34984: '802.1ad' } as const;

const Vf = z.object({
  vf: z.number(),
  link_type: z.string(),
  address: z.string(),
  broadcast: z.string(),
  /** One place, empty without a port VLAN. */
  vlan_list: z.array(
    z.object({ vlan: z.number().optional(), qos: z.number().optional(), protocol: z.string().optional() }),
  ),
  /** The most that it sends, in Mbit/s, where there is a limit: an older name of `max_tx`. */
  tx_rate: z.number().optional(),
  rate: z.object({ max_tx: z.number(), min_tx: z.number() }),
  spoofchk: z.boolean(),
  link_state: z.string(),
  trust: z.boolean(),
  stats: z.object({
    rx: z.object({ bytes: z.number(), packets: z.number(), dropped: z.number() }),
    tx: z.object({ tx_bytes: z.number(), tx_packets: z.number(), dropped: z.number() }),
  }),
  drops: z.record(z.string(), z.number()),
});

/**
 * The card as `ip -j -s link show` prints its physical function: an array of one interface, with the virtual functions in it.
 * Groups' frames are not counted by themselves, and `drops` is ours alone: frames by reason.
 */
export const NicShow = z.array(
  z.object({
    ifname: z.string(),
    flags: z.array(z.string()),
    mtu: z.number(),
    operstate: z.string(),
    link_type: z.string(),
    address: z.string(),
    broadcast: z.string(),
    vfinfo_list: z.array(Vf),
  }),
);
export type NicShown = z.output<typeof NicShow>;

export function nicShown({ eswitch, vfs }: NicCard): NicShown {
  const { isUp } = eswitch.wire;
  const { mac, longestFrame } = eswitch.physical.settings;
  return [
    {
      ifname: 'pf',
      flags: [...(isUp ? [] : ['NO-CARRIER']), 'BROADCAST', 'MULTICAST', 'UP', ...(isUp ? ['LOWER_UP'] : [])],
      mtu: longestFrame - HEADER_BYTES,
      operstate: isUp ? 'UP' : 'DOWN',
      link_type: 'ether',
      address: macText(mac),
      broadcast: ALL_STATIONS,
      vfinfo_list: vfs.map(vfShown),
    },
  ];
}

function vfShown(port: CountingPort, vf: number): NicShown[number]['vfinfo_list'][number] {
  const { mac, portVlan, maxTxRate, minTxRate, checkMac, link, trusted } = port.settings;
  const { inFrames, inBytes, outFrames, outBytes } = port.counters;
  const drops = portDrops(port);
  const toIt =
    (drops.RECEIVER_DOWN ?? 0) +
    (drops.TOO_LONG ?? 0) +
    (drops.NO_ROOM ?? 0) +
    (drops.REFUSED ?? 0) +
    (drops.NO_DEVICE ?? 0);
  const all = Object.values(drops).reduce((sum, frames) => sum + frames, 0);
  return {
    vf,
    link_type: 'ether',
    address: macText(mac),
    broadcast: ALL_STATIONS,
    vlan_list: [portVlan === undefined ? {} : vlanShown(portVlan)],
    ...(maxTxRate === 0 ? {} : { tx_rate: maxTxRate }),
    rate: { max_tx: maxTxRate, min_tx: minTxRate },
    spoofchk: checkMac,
    link_state: link,
    trust: trusted,
    stats: {
      rx: { bytes: outBytes, packets: outFrames, dropped: toIt },
      tx: { tx_bytes: inBytes, tx_packets: inFrames - (all - toIt), dropped: all - toIt },
    },
    drops,
  };
}

/** What is 0, or an 802.1Q tag, is not said. */
const vlanShown = ({
  id,
  priority,
  protocol,
}: PortVlan): NicShown[number]['vfinfo_list'][number]['vlan_list'][number] => ({
  vlan: id,
  ...(priority === 0 ? {} : { qos: priority }),
  ...(protocol === 0x8100 ? {} : { protocol: PROTOCOLS[protocol] }),
});

/** The same for people, as `ip link show` has it; what was counted in lines of ours. */
export function nicText([link]: NicShown): string {
  const lines = link!.vfinfo_list.map((vf) => {
    const {
      address,
      broadcast,
      vlan_list: vlans,
      tx_rate,
      rate,
      spoofchk,
      link_state: state,
      trust,
      stats,
      drops,
    } = vf;
    const words = [
      `link/ether ${address} brd ${broadcast}`,
      ...vlans.flatMap(({ vlan, qos, protocol }) => [
        ...(vlan === undefined ? [] : [`vlan ${vlan}`]),
        ...(qos === undefined ? [] : [`qos ${qos}`]),
        ...(protocol === undefined ? [] : [`vlan protocol ${protocol}`]),
      ]),
      ...(tx_rate === undefined ? [] : [`tx rate ${tx_rate} (Mbps)`]),
      ...(rate.max_tx === 0 ? [] : [`max_tx_rate ${rate.max_tx}Mbps`]),
      ...(rate.min_tx === 0 ? [] : [`min_tx_rate ${rate.min_tx}Mbps`]),
      `spoof checking ${onOff(spoofchk)}`,
      `link-state ${state}`,
      `trust ${onOff(trust)}`,
    ];
    const { rx, tx } = stats;
    const lost = Object.entries(drops).map(([reason, frames]) => `${reason} ${frames}`);
    return [
      `    vf ${vf.vf}     ${words.join(', ')}`,
      `       RX: ${rx.packets} packets ${rx.bytes} bytes  TX: ${tx.tx_packets} packets ${tx.tx_bytes} bytes`,
      ...(lost.length === 0 ? [] : [`       dropped: ${lost.join(', ')}`]),
    ].join('\n');
  });
  const { ifname, flags, mtu, operstate, address, broadcast } = link!;
  return [
    `${ifname}: <${flags.join(',')}> mtu ${mtu} state ${operstate}`,
    `    link/ether ${address} brd ${broadcast}`,
    ...lines,
    '',
  ].join('\n');
}

const onOff = (is: boolean): string => (is ? 'on' : 'off');
