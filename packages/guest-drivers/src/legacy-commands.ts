import { VirtioError } from '@ringwire/virtio-spec';
import {
  VIRTIO_ADMIN_LEGACY,
  VIRTIO_ADMIN_STATUS,
  VIRTIO_PCI_LEGACY_NOTIFY,
  VIRTIO_PCI_LEGACY_NOTIFY_INFO,
} from '@ringwire/virtio-spec/admin';
import type { AdminDone } from './admin-client.js';
import type { AdminGroup } from './admin-group.js';
import type { AdminReply } from './admin-queue.js';

const INFO = VIRTIO_PCI_LEGACY_NOTIFY_INFO;
const { OWNER, MEMBER, END } = VIRTIO_PCI_LEGACY_NOTIFY;
/** virtio 1.4 §4.1.4.10: fields of the legacy common configuration with MSI-X, by offset, and their bytes. */
const COMMON: Readonly<Record<number, number>> = { 0: 4, 4: 4, 8: 4, 12: 2, 14: 2, 16: 2, 18: 1, 19: 1, 20: 2, 22: 2 };

/** Where a notification of a legacy function may be written. */
export interface LegacyNotify {
  /** The BAR is the owner's, or that of the virtual function. */
  readonly of: 'owner' | 'member';
  readonly bar: number;
  readonly offset: number;
}

/** Bytes of a BAR, 0 where there is none. */
export type BarBytes = (of: LegacyNotify['of'], bar: number) => number;

/**
 * The legacy interface of a virtual function, through its owner, for whoever shows one to a legacy driver. A method returns
 * false when too many commands are on their way. @see virtio 1.4 §2.12.1.1
 */
export class LegacyCommands {
  private readonly group: AdminGroup;

  /** @param group the SR-IOV group, begun */
  constructor(group: AdminGroup) {
    this.group = group;
  }

  /** @param offset of a field of the common configuration @throws VirtioError for any other one */
  readCommon(member: number, offset: number, done: (value: number, reply: AdminReply) => void): boolean {
    return this.read('LEGACY_COMMON_CFG_READ', member, offset, commonBytes(offset), done);
  }

  writeCommon(member: number, offset: number, value: number, done: AdminDone): boolean {
    return this.write('LEGACY_COMMON_CFG_WRITE', member, offset, commonBytes(offset), value, done);
  }

  /** @param bytes of the one field that is at `offset` in the device's own configuration */
  readConfig(
    member: number,
    offset: number,
    bytes: 1 | 2 | 4,
    done: (value: number, reply: AdminReply) => void,
  ): boolean {
    return this.read('LEGACY_DEV_CFG_READ', member, offset, bytes, done);
  }

  writeConfig(member: number, offset: number, bytes: 1 | 2 | 4, value: number, done: AdminDone): boolean {
    return this.write('LEGACY_DEV_CFG_WRITE', member, offset, bytes, value, done);
  }

  /** Addresses for notifications, the device's favourite first; none that cannot be is among them. */
  notifyInfo(member: number, barBytes: BarBytes, done: (places: readonly LegacyNotify[]) => void): boolean {
    const room = INFO.ENTRIES * INFO.SIZE;
    return this.group.send('LEGACY_NOTIFY_INFO', member, new Uint8Array(0), room, ({ result }) =>
      done(readNotifyInfo(result, barBytes)),
    );
  }

  private read(
    opcode: 'LEGACY_COMMON_CFG_READ' | 'LEGACY_DEV_CFG_READ',
    member: number,
    offset: number,
    bytes: number,
    done: (value: number, reply: AdminReply) => void,
  ): boolean {
    return this.group.send(opcode, member, Uint8Array.of(checked(offset)), bytes, (reply) => {
      let value = 0;
      for (let at = bytes - 1; at >= 0; at--) value = value * 256 + (reply.result[at] ?? 0);
      done(reply.status === VIRTIO_ADMIN_STATUS.OK ? value : 0, reply);
    });
  }

  private write(
    opcode: 'LEGACY_COMMON_CFG_WRITE' | 'LEGACY_DEV_CFG_WRITE',
    member: number,
    offset: number,
    bytes: number,
    value: number,
    done: AdminDone,
  ): boolean {
    const data = new Uint8Array(VIRTIO_ADMIN_LEGACY.data + bytes);
    data[VIRTIO_ADMIN_LEGACY.offset] = checked(offset);
    for (let at = 0; at < bytes; at++) data[VIRTIO_ADMIN_LEGACY.data + at] = value >>> (8 * at);
    return this.group.send(opcode, member, data, 0, done);
  }
}

function commonBytes(offset: number): number {
  const bytes = COMMON[offset];
  if (bytes !== undefined) return bytes;
  throw new VirtioError('offset', offset, 'a field of the legacy common configuration', 'virtio 1.4 §4.1.4.10');
}

function checked(offset: number): number {
  if (Number.isInteger(offset) && offset >= 0 && offset <= 0xff) return offset;
  throw new VirtioError('offset', offset, '0 to 255', 'virtio 1.4 §2.12.1.1');
}

/** Foreign: entries that cannot be are passed over, and everything from an end on. */
function readNotifyInfo(result: Uint8Array, barBytes: BarBytes): LegacyNotify[] {
  const places: LegacyNotify[] = [];
  const bytes = new Uint8Array(INFO.ENTRIES * INFO.SIZE);
  bytes.set(result.subarray(0, bytes.length));
  const view = new DataView(bytes.buffer);
  for (let entry = 0; entry < INFO.ENTRIES; entry++) {
    const at = entry * INFO.SIZE;
    const flags = view.getUint8(at + INFO.flags);
    if (flags === END) break;
    if (flags !== OWNER && flags !== MEMBER) continue;
    const of = flags === OWNER ? 'owner' : 'member';
    const bar = view.getUint8(at + INFO.bar);
    const offset = view.getUint32(at + INFO.offset + 4, true) * 2 ** 32 + view.getUint32(at + INFO.offset, true);
    const isBar = bar >= 1 && bar <= 5;
    if (isBar && offset % 2 === 0 && offset + 2 <= barBytes(of, bar)) places.push({ of, bar, offset });
  }
  return places;
}
