import type { CountingPort } from '@ringwire/eswitch';
import { z } from 'zod';
import { type NicCard, portDrops } from './nic-card.js';
import { macText } from './nic-names.js';

const ALL_STATIONS = 'ff:ff:ff:ff:ff:ff';
const PROTOCOLS = { 33024: '802.1Q', 34984: '802.1ad' } as const;

const Vf = z.object({
  vf: z.number(),
  link_type: z.string(),
  address: z.string(),
  broadcast: z.string(),
  vlan_list: z
    .array(z.object({ vlan: z.number(), qos: z.number().optional(), protocol: z.string().optional() }))
    .optional(),
  rate: z.object({ max_tx: z.number(), min_tx: z.number() }),
  spoofchk: z.boolean(),
  link_state: z.string(),
  trust: z.boolean(),
  stats: z.object({
    rx: z.object({ bytes: z.number(), packets: z.number(), dropped: z.number() }),
    tx: z.object({ bytes: z.number(), packets: z.number(), dropped: z.number() }),
  }),
  drops: z.record(z.string(), z.number()),
});

/** The card as `ip -j link show` prints one: an array of one interface. `drops` is ours alone: frames by reason. */
export const NicShow = z.array(
  z.object({
    ifname: z.string(),
    flags: z.array(z.string()),
    operstate: z.string(),
    link_type: z.string(),
    vfinfo_list: z.array(Vf),
  }),
);
export type NicShown = z.output<typeof NicShow>;

export function nicShown({ eswitch, vfs }: NicCard): NicShown {
  const { isUp } = eswitch.wire;
  return [
    {
      ifname: 'wire',
      flags: ['BROADCAST', 'MULTICAST', 'UP', ...(isUp ? ['LOWER_UP'] : ['NO-CARRIER'])],
      operstate: isUp ? 'UP' : 'DOWN',
      link_type: 'ether',
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
    ...(portVlan === undefined
      ? {}
      : {
          vlan_list: [
            {
              vlan: portVlan.id,
              ...(portVlan.priority === 0 ? {} : { qos: portVlan.priority }),
              ...(portVlan.protocol === 0x8100 ? {} : { protocol: PROTOCOLS[portVlan.protocol] }),
            },
          ],
        }),
    rate: { max_tx: maxTxRate, min_tx: minTxRate },
    spoofchk: checkMac,
    link_state: link,
    trust: trusted,
    stats: {
      rx: { bytes: outBytes, packets: outFrames, dropped: toIt },
      tx: { bytes: inBytes, packets: inFrames - (all - toIt), dropped: all - toIt },
    },
    drops,
  };
}

/** The same for people, a line a function, as `ip link show` has them. */
export function nicText([link]: NicShown): string {
  const lines = link!.vfinfo_list.map(
    ({ vf, address, vlan_list: vlans, rate, spoofchk, link_state: state, trust, stats, drops }) => {
      const vlan =
        vlans?.map(({ vlan: id, qos }) => `, vlan ${id}${qos === undefined ? '' : `, qos ${qos}`}`).join('') ?? '';
      const most = rate.max_tx === 0 ? '' : `, max_tx_rate ${rate.max_tx}Mbps`;
      const least = rate.min_tx === 0 ? '' : `, min_tx_rate ${rate.min_tx}Mbps`;
      const lost = Object.entries(drops).map(([reason, frames]) => `${reason} ${frames}`);
      return [
        `    vf ${vf} link/ether ${address}${vlan}${most}${least}, spoof checking ${onOff(spoofchk)}, link-state ${state}, trust ${onOff(trust)}`,
        `       RX: ${stats.rx.packets} packets ${stats.rx.bytes} bytes  TX: ${stats.tx.packets} packets ${stats.tx.bytes} bytes`,
        ...(lost.length === 0 ? [] : [`       dropped: ${lost.join(', ')}`]),
      ].join('\n');
    },
  );
  return `${link!.ifname}: <${link!.flags.join(',')}> state ${link!.operstate}\n${lines.join('\n')}\n`;
}

const onOff = (is: boolean): string => (is ? 'on' : 'off');
