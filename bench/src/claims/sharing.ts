import { type Claim, type Effort, jain, type Measured, percent } from './claim.js';
import type { FunctionKind } from './function-kind.js';
import { WIRE_BYTES_PER_US } from './line-rate.js';
import { PopulatedCard, type PopulatedPlan } from './populated-card.js';
import { type Load, OUTSIDE } from './station.js';

const KIB = 1024;
const TINY = 60;
const LARGE = 1514;
const WARM = 1000;
/** What the card reads from its host: PCI Express 2.0 x8, the 82599's. */
const HOST_MBITS = 32_000;
const MOST_OFF = 0.01;
const LEAST_JAIN = 0.99;
/** Every kind of function, in turn. */
const MIXED: readonly FunctionKind[] = Array.from(
  { length: 8 },
  (_, vf) => (['virtio', '82599', 'vendor-b'] as const)[vf % 3]!,
);

/** F102: what functions of one card send to each other does not go through the port, unless a bridge beyond has to see it. */
export function interVmClaim(kind: FunctionKind): Claim {
  return {
    name: `claims/inter-vm/${kind}`,
    claim: "from VF to VF 3 times the port's rate or more through the card's switch (VEB), once through a VEPA",
    isWallTime: false,
    measure: (effort) => {
      const [veb, vepa] = (['veb', 'vepa'] as const).map((mode) => betweenGuests(kind, mode, effort)) as [
        number,
        number,
      ];
      return {
        measured: `VEB ${veb.toFixed(2)} times, VEPA ${vepa.toFixed(2)} times; the card reads 32 Gbit/s from its host`,
        holds: veb >= 3 && Math.abs(vepa - 1) <= 0.02,
      };
    },
  };
}

/** @returns what arrives, as a multiple of the port's rate */
function betweenGuests(kind: FunctionKind, mode: 'veb' | 'vepa', { virtualMicroseconds }: Effort): number {
  const card = new PopulatedCard({ vfs: [kind, kind], eswitch: { mode }, arbiter: { hostRate: HOST_MBITS } });
  // The bridge beside a VEPA: it sends back what is for the card.
  card.wire.returnTo = card.machine.eswitch.wire.backend;
  const [from, to] = card.guests;
  from!.load = { to: to!.mac, bytes: LARGE };
  card.run(WARM);
  const before = to!.receivedWireBytes;
  card.run(virtualMicroseconds);
  return (to!.receivedWireBytes - before) / (WIRE_BYTES_PER_US * virtualMicroseconds);
}

/** What each virtual function sends meanwhile, in bytes on the wire. */
function shares(card: PopulatedCard, microseconds: number): number[] {
  card.run(WARM);
  const bytes = card.measure(microseconds);
  return card.machine.guests.map(({ port }) => bytes[port.number]!);
}

function loaded(loads: readonly Load['bytes'][], plan: Partial<PopulatedPlan> = {}): PopulatedCard {
  const card = new PopulatedCard({ vfs: MIXED, ...plan });
  for (const [vf, guest] of card.guests.entries()) guest.load = { to: OUTSIDE, bytes: loads[vf % loads.length]! };
  return card;
}

function judgeShares(
  found: readonly (readonly [name: string, shares: readonly number[]])[],
  microseconds: number,
): Measured {
  const indexes = found.map(([name, each]) => ({
    name,
    index: jain(each),
    used: each.reduce((sum, share) => sum + share, 0) / (WIRE_BYTES_PER_US * microseconds),
  }));
  return {
    measured: indexes
      .map(({ name, index, used }) => `${name} ${index.toFixed(4)} (line ${percent(used)} full)`)
      .join(', '),
    holds: indexes.every(({ index, used }) => index >= LEAST_JAIN && used >= 0.95),
  };
}

/** Messages take turns of 64 KiB: what is counted has to be many of them. */
const LONG = 20;

/** F101: eight functions of three kinds with as much to send as they can. */
const FAIRNESS: Claim = {
  name: 'claims/fairness/equal',
  claim: "Jain's index of 0.99 or more for 8 VFs with equal backlog",
  isWallTime: false,
  measure: ({ virtualMicroseconds: time }) => {
    const found = [
      ['64 B', shares(loaded([TINY]), time)],
      ['1518 B', shares(loaded([LARGE]), time)],
    ] as const;
    return judgeShares(found, time);
  },
};

const TINY_FAIRNESS: Claim = {
  name: 'claims/fairness/tiny',
  claim: 'the same with one VF of tiny frames, one of 1518 B, one of 64 KiB messages, and so on',
  isWallTime: false,
  measure: ({ virtualMicroseconds }) => {
    const time = LONG * virtualMicroseconds;
    const first: Load['bytes'][] = [TINY, ...new Array<number>(7).fill(LARGE)];
    const found = [
      ['64 B against 7 of 1518 B', shares(loaded(first), time)],
      ['64 B, 1518 B and 64 KiB', shares(loaded([TINY, LARGE, { message: 64 * KIB }]), time)],
    ] as const;
    return judgeShares(found, time);
  },
};

const LIMIT_MBITS = 1000;

/** F45: what the host set for a function, whatever kind it is, while its siblings use the rest. */
const RATE_LIMIT: Claim = {
  name: 'claims/rate-limit',
  claim: "a VF's rate limit is kept within 1 %, whatever its kind",
  isWallTime: false,
  measure: ({ virtualMicroseconds }) => {
    const time = LONG * virtualMicroseconds;
    const card = loaded([LARGE]);
    const limited = card.machine.guests.slice(0, 3);
    for (const { kind, index, port } of limited) {
      // The registers of an 82599 are what the switch is told; of others the host tells it itself.
      if (kind === '82599') card.pf!.setVf(index, { maxTxRate: LIMIT_MBITS });
      else port.configure({ maxTxRate: LIMIT_MBITS });
    }
    const sent = shares(card, time);
    const off = limited.map(({ vf, kind }) => {
      const mbits = (sent[vf]! * 8) / time;
      return { kind, mbits, off: Math.abs(mbits / LIMIT_MBITS - 1) };
    });
    return {
      measured: `${off.map(({ kind, mbits }) => `${kind} ${mbits.toFixed(1)}`).join(', ')} of ${LIMIT_MBITS} Mbit/s`,
      holds: off.every((each) => each.off <= MOST_OFF),
    };
  },
};

const COUNTS = [1, 2, 8, 32, 64];

/** What one function sends in virtual time does not depend on how many others there are. */
const VIRTUAL_IDLE: Claim = {
  name: 'claims/idle/virtual-time',
  claim: 'frames per second of one VF are the same with 1 to 64 VFs on the card',
  isWallTime: false,
  measure: ({ virtualMicroseconds }) => {
    const frames = COUNTS.map((count) => {
      const card = new PopulatedCard({ vfs: new Array<FunctionKind>(count).fill('virtio'), ramBytes: 0x10_0000 });
      card.guests[0]!.load = { to: OUTSIDE, bytes: TINY };
      card.run(WARM);
      const before = card.wire.frames;
      card.run(virtualMicroseconds);
      return card.wire.frames - before;
    });
    const mpps = frames.map((count) => (count / virtualMicroseconds).toFixed(2));
    return {
      measured: `${mpps.join(', ')} Mpps with ${COUNTS.join(', ')} VFs`,
      holds: Math.min(...frames) / Math.max(...frames) > 0.99,
    };
  },
};

/** Claims about how functions share what the card has. */
export const SHARING_CLAIMS: readonly Claim[] = [FAIRNESS, TINY_FAIRNESS, RATE_LIMIT, VIRTUAL_IDLE];
