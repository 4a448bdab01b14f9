import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Recording, type RegisterAccess, rowsOf } from '../../examples/mmio-host/src/recording.js';
import { READY } from '../../examples/v86/src/guest-shell.js';
import { makeGuestImage } from './guest-image.js';
import { PATIENCE_MS } from './linux-guest.js';
import { Program } from './program.js';
import { Qmp } from './qmp.js';

const MAC = '02:00:00:00:00:01';
/** A control queue would have commands that Linux waits for; none of these features without one. */
const NO_CONTROL = ['vq', 'rx', 'vlan', 'rx_extra', 'mac_addr', 'guest_offloads'].map((name) => `ctrl_${name}=off`);
/** Sent frames stay in the queue as long as QEMU lets them, in ns. */
const HELD = ['tx=timer', 'x-txtimer=4000000000', 'guest_announce=off'];
/** It has neither a PIT's calibration nor a processor whose clock is worth watching. */
const BOOT = 'console=ttyS1 quiet panic=-1 tsc_early_khz=2000000 lpj=4000000 no_timer_check tsc=unstable';
/** Sends one frame, once the link is up for Linux: who has 10.0.0.2? */
const COMMANDS =
  'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; ip link set eth0 up; ip addr add 10.0.0.1/24 dev eth0; ' +
  'until grep -q up /sys/class/net/eth0/operstate; do usleep 50000; done; ' +
  '(ping -c 1 -W 1 10.0.0.2 >/dev/null 2>&1 &); usleep 300000';
const ACCESS =
  /memory_region_ops_(read|write) .* addr 0x([0-9a-f]+) value 0x([0-9a-f]+) size ([124]) name 'virtio-mmio'/g;
const DESC_BYTES = 16;
const MEMORY_MIB = 96;

/** What QEMU's own log says of accesses to a virtio-mmio device. */
function accessesOf(log: string): readonly RegisterAccess[] {
  return [...log.matchAll(ACCESS)].map(([, kind, address, value, bytes]) => {
    const width = Number(bytes) as RegisterAccess['bytes'];
    return {
      isWrite: kind === 'write',
      address: Number.parseInt(address!, 16),
      bytes: width,
      // QEMU gives more bits than were asked for.
      value: Number(BigInt.asUintN(8 * width, BigInt(`0x${value}`))),
    };
  });
}

/**
 * Boot Linux in a QEMU whose network device is a virtio-mmio one, have it send a frame that stays in its queue, and save
 * what it did.
 * @param directory of the caller's, for files
 */
export async function recordGuest(directory: string): Promise<Recording> {
  const { kernel, initrd } = makeGuestImage(directory, { modules: ['virtio_mmio', 'virtio_net'] });
  const log = join(directory, 'trace.log');
  const socket = join(directory, 'mmio.qmp');
  const device = ['virtio-net-device', 'netdev=n0', `mac=${MAC}`, ...NO_CONTROL, ...HELD].join(',');
  const qemu = new Program('qemu-system-x86_64', [
    ...['-M', 'microvm,pit=on,pic=on', '-accel', 'tcg', '-cpu', 'qemu64', '-m', `${MEMORY_MIB}`],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-kernel', kernel, '-initrd', initrd, '-append', BOOT],
    ...['-serial', 'stdio', '-qmp', `unix:${socket},server=on,wait=off`],
    ...['-global', 'virtio-mmio.force-legacy=false', '-netdev', 'hubport,hubid=0,id=n0', '-device', device],
    ...['-D', log, '-trace', 'memory_region_ops_read', '-trace', 'memory_region_ops_write'],
  ]);
  // Ended, it fails whoever waits for it.
  const limit = setTimeout(() => void qemu.kill(), PATIENCE_MS / 2);
  try {
    await qemu.printed(READY);
    const from = qemu.out.length;
    qemu.write(`${COMMANDS}\n`);
    await qemu.printed(/^#done 0$/m, from);
    const qmp = await Qmp.connect(socket);
    await qmp.command('stop');
    const accesses = accessesOf(readFileSync(log, 'latin1'));
    const file = join(directory, 'memory');
    const memoryAt = async (gpa: number, bytes: number): Promise<Uint8Array> => {
      await qmp.command('pmemsave', { val: gpa, size: bytes, filename: file });
      return readFileSync(file);
    };
    return { ramBytes: MEMORY_MIB << 20, accesses, memory: await memoryOf(accesses, memoryAt) };
  } finally {
    clearTimeout(limit);
    await qemu.kill();
  }
}

/** Rings as the driver placed them, and the buffers of the frames that it sent. */
async function memoryOf(
  accesses: readonly RegisterAccess[],
  memoryAt: (gpa: number, bytes: number) => Promise<Uint8Array>,
): Promise<Recording['memory']> {
  const base = accesses[0]!.address;
  const written = (register: number): readonly number[] =>
    accesses.filter(({ isWrite, address }) => isWrite && address === base + register).map(({ value }) => value);
  const [sizes, descs, drivers] = [written(0x38), written(0x80), written(0x90)];
  const rows: Recording['memory'][number][] = [];
  for (const [queue, size] of sizes.entries()) {
    const table = await memoryAt(descs[queue]!, size * DESC_BYTES);
    rows.push(
      ...rowsOf(descs[queue]!, table),
      ...rowsOf(drivers[queue]!, await memoryAt(drivers[queue]!, 4 + 2 * size + 2)),
    );
    if (queue === 0) continue;
    const view = new DataView(table.buffer, table.byteOffset, table.length);
    for (let at = 0; at < table.length; at += DESC_BYTES) {
      const bytes = view.getUint32(at + 8, true);
      const gpa = view.getUint32(at, true);
      // Whole rows: who sends a frame of 42 bytes has it in a larger buffer.
      const first = gpa & ~31;
      if (bytes > 0) rows.push(...rowsOf(first, await memoryAt(first, gpa + bytes - first)));
    }
  }
  return rows;
}
