import type { LinuxGuest } from './linux-guest.js';
import { LinuxPair } from './linux-pair.js';

/** Pings in {@link pings}. */
export const PINGS = 10;

/** @param size bytes of data. @returns how many pings were answered */
export async function pings(guest: LinuxGuest, address: string, size: number): Promise<number> {
  return answered(await guest.run(`ping -c ${PINGS} -i 0.05 -s ${size} ${address} || true`));
}

/** How many answers a ping counted in what it said at its end. */
function answered(said: string): number {
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
async function fetchFile(guest: LinuxGuest, address: string): Promise<string> {
  return digestOf(await guest.run(`wget -q -O - http://${address}/file | sha256sum`));
}

function digestOf(said: string): string {
  return said.slice(0, 64);
}

/** Each guest fetches a file of the other at the same time. @throws Error when what came is not what was sent */
export async function filesBothWays({ guests }: LinuxPair, bytes: number): Promise<void> {
  const sent = await Promise.all(guests.map((guest) => makeFile(guest, bytes)));
  const got = await Promise.all(guests.map((guest, at) => fetchFile(guest, LinuxPair.ADDRESSES[1 - at]!)));
  if (got[0] !== sent[1] || got[1] !== sent[0]) throw new Error(`sent ${sent.join(' and ')}, got ${got.join(' and ')}`);
}
