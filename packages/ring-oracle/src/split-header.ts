import { VIRTQ_AVAIL, VIRTQ_USED } from '@ringwire/virtio-spec';
import type { WalkContext } from './chain-walk.js';
import { hex } from './memory-reader.js';
import type { SplitHeader } from './report.js';

/** `flags` of both rings. virtio 1.4 §2.7.7.1, §2.7.10.2: 0 with EVENT_IDX, else 0 or 1. */
export function checkSplitHeader({ avail, used }: SplitHeader, { features, find, parts }: WalkContext): void {
  const { eventIdx } = features;
  const most = eventIdx === true ? 0 : 1;
  const want = eventIdx === true ? '0: VIRTIO_F_EVENT_IDX is negotiated' : '0 or 1';
  if (avail.flags !== null && avail.flags > most) {
    const rule = eventIdx === true ? 'drv.split.used-notif-suppression.3' : 'drv.split.used-notif-suppression.1';
    const at = parts.driver.address + BigInt(VIRTQ_AVAIL.flags);
    find.violation(rule, 'available ring', at, `avail.flags is ${hex(avail.flags)}, want ${want}.`);
  }
  if (used.flags !== null && used.flags > most) {
    const rule = eventIdx === true ? 'dev.split.avail-notif-suppression.3' : 'dev.split.avail-notif-suppression.1';
    const at = parts.device.address + BigInt(VIRTQ_USED.flags);
    find.violation(rule, 'used ring', at, `used.flags is ${hex(used.flags)}, want ${want}.`);
  }
}
