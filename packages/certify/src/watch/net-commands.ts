import { featureName, hasFeature, VIRTIO_ID } from '@ringwire/virtio-spec';
import {
  VIRTIO_NET_CTRL,
  VIRTIO_NET_CTRL_ANNOUNCE,
  VIRTIO_NET_CTRL_CLASS,
  VIRTIO_NET_CTRL_MQ,
  VIRTIO_NET_CTRL_NOTF_COAL,
  VIRTIO_NET_CTRL_RX,
  VIRTIO_NET_F,
} from '@ringwire/virtio-spec/net';
import type { StatementId } from '../statements.js';
import type { Verdict } from '../verdict.js';

const F = VIRTIO_NET_F;
const CLASS = VIRTIO_NET_CTRL_CLASS;
const { TX_SET, RX_SET, VQ_SET, VQ_GET } = VIRTIO_NET_CTRL_NOTF_COAL;
const { ALLUNI, NOMULTI, NOUNI, NOBCAST, PROMISC, ALLMULTI } = VIRTIO_NET_CTRL_RX;

/** Commands, and what has to be negotiated for them. Without `commands`: all of the class. */
const NEEDS: readonly {
  readonly class: number;
  readonly commands?: readonly number[];
  readonly feature: number;
  readonly id: StatementId;
}[] = [
  { class: CLASS.RX, commands: [PROMISC, ALLMULTI], feature: F.CTRL_RX, id: 'drv.net.rx-filter.1' },
  { class: CLASS.RX, commands: [ALLUNI, NOMULTI, NOUNI, NOBCAST], feature: F.CTRL_RX_EXTRA, id: 'drv.net.rx-filter.2' },
  { class: CLASS.MAC, feature: F.CTRL_RX, id: 'drv.net.mac-filter.1' },
  { class: CLASS.MQ, commands: [VIRTIO_NET_CTRL_MQ.RSS_CONFIG], feature: F.RSS, id: 'drv.net.rss.1' },
  { class: CLASS.NOTF_COAL, commands: [TX_SET, RX_SET], feature: F.NOTF_COAL, id: 'drv.net.coalescing.2' },
  { class: CLASS.NOTF_COAL, commands: [VQ_SET, VQ_GET], feature: F.VQ_NOTF_COAL, id: 'drv.net.coalescing.3' },
  { class: CLASS.HASH_TUNNEL, feature: F.HASH_TUNNEL, id: 'drv.net.inner-hash.1' },
  { class: CLASS.RSS_CTX, feature: F.RSS_CONTEXT, id: 'drv.net.rss-context.1' },
];

/** What commands are judged by. */
export interface CommandFacts {
  /** max_virtqueue_pairs. */
  readonly pairs: number;
  /** A command came: its class and number. */
  readonly onCommand?: (klass: number, command: number) => void;
}

/** A command for the control queue. @param bytes its first ones */
export function judgeCommand(verdict: Verdict, features: Uint32Array, facts: CommandFacts, bytes: Uint8Array): void {
  if (bytes.length <= VIRTIO_NET_CTRL.command) return;
  const klass = bytes[VIRTIO_NET_CTRL.class]!;
  const command = bytes[VIRTIO_NET_CTRL.command]!;
  facts.onCommand?.(klass, command);
  for (const { class: wanted, commands, feature, id } of NEEDS) {
    if (klass !== wanted || commands?.includes(command) === false) continue;
    const message = `command ${command} of class ${klass} is issued without ${featureName(feature, VIRTIO_ID.NET)}`;
    verdict.judge(id, hasFeature(features, feature), message);
  }
  if (klass === CLASS.MQ && command === VIRTIO_NET_CTRL_MQ.VQ_PAIRS_SET && bytes.length >= VIRTIO_NET_CTRL.data + 2) {
    const pairs = bytes[VIRTIO_NET_CTRL.data]! | (bytes[VIRTIO_NET_CTRL.data + 1]! << 8);
    const message = `VQ_PAIRS_SET asks for ${pairs} pairs, want 1 to ${facts.pairs}`;
    verdict.judge('drv.net.mq.2', pairs >= 1 && pairs <= facts.pairs, message);
  }
  if (klass === CLASS.ANNOUNCE && command === VIRTIO_NET_CTRL_ANNOUNCE.ACK) verdict.keep('drv.net.announce.2');
}
