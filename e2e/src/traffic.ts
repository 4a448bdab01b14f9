import type { LinuxGuest } from './linux-guest.js';
import { LinuxPair } from './linux-pair.js';

/** Pings in {@link pings}. */
export const PINGS = 10;
/** Bytes of a file that {@link beginTransfer} is busy with for a quarter of a minute at least. */
export const LONG_FILE: number = 24 * 2 ** 20;

/** @param size bytes of data. @returns how many pings were answered */
export async function pings(guest: LinuxGuest, address: string, size: number): Promise<number> {
  return answered(await guest.run(`ping -c ${PINGS} -i 0.05 -s ${size} ${address} || true`));
}

/** How many answers a ping counted in what it said at its end. */
export function answered(said: string): number {
  return Number(/(\d+) packets received/.exec(said)?.[1]);
}

export async function framesReceived(guest: LinuxGuest): Promise<number> {
  return Number(await guest.run('cat /sys/class/net/eth0/statistics/rx_packets'));
}

/** Make a file of random bytes that others can fetch. @returns the digest of its bytes */
export async function makeFile(guest: LinuxGuest, bytes: number): Promise<string> {
  return digestOf(await guest.run(`head -c ${bytes} /dev/urandom > /tmp/file && sha256sum < /tmp/file`));
}

/** @returns the digest of what came */
export async function fetchFile(guest: LinuxGuest, address: string): Promise<string> {
  return digestOf(await guest.run(`wget -q -O - http://${address}/file | sha256sum`));
}

function digestOf(said: string): string {
  return said.slice(0, 64);
}

/**
 * Begin to fetch a file from another guest: slowly, so that whatever happens until {@link endTransfer} happens in the
 * middle of it. There when some of the file has come.
 */
export async function beginTransfer(guest: LinuxGuest, address: string): Promise<void> {
  const slowly = 'until [ -e /tmp/go ]; do dd bs=64k count=1 2>/dev/null; usleep 50000; done';
  await guest.run('rm -f /tmp/go /tmp/got /tmp/digest');
  await guest.run(
    `wget -q -O - http://${address}/file | { ${slowly}; cat; } | tee /tmp/got | sha256sum > /tmp/digest &`,
  );
  await guest.run('until [ -s /tmp/got ]; do usleep 10000; done');
}

/** The rest at full speed. @returns the digest of what came */
export async function endTransfer(guest: LinuxGuest): Promise<string> {
  await guest.run('touch /tmp/go');
  return digestOf(await guest.run('until [ -s /tmp/digest ]; do usleep 10000; done; cat /tmp/digest'));
}

/** Each guest fetches a file of the other at the same time. @throws Error when what came is not what was sent */
export async function filesBothWays({ guests }: LinuxPair, bytes: number): Promise<void> {
  const sent = await Promise.all(guests.map((guest) => makeFile(guest, bytes)));
  const got = await Promise.all(guests.map((guest, at) => fetchFile(guest, LinuxPair.ADDRESSES[1 - at]!)));
  if (got[0] !== sent[1] || got[1] !== sent[0]) throw new Error(`sent ${sent.join(' and ')}, got ${got.join(' and ')}`);
}
