import { ACCESS, HostMemory, IdentitySpace } from '@ringwire/guest-memory';
import { expect, test } from 'vitest';
import { REG } from './testing/vtd-bench.js';
import { type ReferenceUnit, referenceWalk } from './testing/vtd-reference-walk.js';
import { NO_PASID, newTranslation, TRANSLATED } from './translation.js';
import { VtdCaches } from './vtd-caches.js';
import { VtdUnit } from './vtd-unit.js';

const PAGES = 40;
const POOL = 24; // paging tables: pages 8 to 31; what lies past 40 is no memory
const SIDS = [0x0018, 0x0098, 0x0119];
const PASIDS = [0, 1, 2, 64];

class Random {
  private state: number;
  constructor(seed: number) {
    this.state = (seed * 2654435761) >>> 0 || 1;
  }
  word(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state;
  }
  below(n: number): number {
    return this.word() % n;
  }
  chance(percent: number): boolean {
    return this.word() % 100 < percent;
  }
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}

/** Mostly as given, now and then with one bit changed or all of them. */
function spoiled(random: Random, quad: bigint): bigint {
  if (random.chance(97)) return quad;
  if (random.chance(80)) return quad ^ (1n << BigInt(random.below(64)));
  return (BigInt(random.word()) << 32n) | BigInt(random.word());
}

function pagingEntry(random: Random): [number, number] {
  let low = random.chance(85) ? 7 : random.below(8);
  low |= random.word() & 0x760; // A, D, EA and ignored bits of both kinds
  let high = 0;
  if (random.chance(12)) {
    // A large page: 2 MiB or 1 GiB aligned mostly, sometimes the one with the interrupt range.
    const base = random.chance(20)
      ? 0xc000_0000
      : random.chance(50)
        ? random.below(8) * 0x4000_0000
        : random.word() & 0xffe0_0000;
    low = (low | 0x80 | base) >>> 0;
  } else if (random.chance(96)) low |= (8 + random.below(POOL)) << 12;
  else if (random.chance(50)) low = (low | 0xfee0_0000 | (random.below(256) << 12)) >>> 0;
  else low |= (PAGES + random.below(100)) << 12;
  if (random.chance(3)) low = (low | (1 << random.below(32))) >>> 0;
  if (random.chance(3)) high = (1 << random.below(32)) >>> 0;
  return [low, high];
}

function fill(random: Random, view: DataView, unit: ReferenceUnit): void {
  const put = (at: number, quad: bigint): void =>
    view.setBigUint64(at, BigInt.asUintN(64, spoiled(random, quad)), true);
  for (let at = 8 * 4096; at < (8 + POOL) * 4096; at += 8) {
    const [low, high] = pagingEntry(random);
    view.setUint32(at, low, true);
    view.setUint32(at + 4, high, true);
  }
  const table = (): bigint => BigInt(8 + random.below(POOL)) << 12n;
  const width = (): bigint => BigInt((random.pick(unit.widths) - 30) / 9);
  for (const sid of SIDS) {
    const scalable = (unit.rtaddr & 0xc00n) !== 0n;
    put(0x1000 + (sid >> 8) * 16, 0x2001n);
    put(0x1000 + (sid >> 8) * 16 + 8, scalable ? 0x3001n : 0n);
    if (!scalable) {
      const type = BigInt(random.pick([0, 0, 0, 0, 1, 2, 3])) << 2n;
      put(0x2000 + (sid & 255) * 16, table() | type | 1n | (random.chance(5) ? 2n : 0n));
      put(0x2000 + (sid & 255) * 16 + 8, width() | (BigInt(sid) << 8n));
      continue;
    }
    const at = ((sid & 0x80) !== 0 ? 0x3000 : 0x2000) + (sid & 0x7f) * 32;
    put(at, 0x4009n | (random.chance(5) ? 2n : 0n));
    put(at + 8, BigInt(random.pick([...PASIDS, 0x2000])) | (random.chance(20) ? 1n << 20n : 0n));
    put(at + 16, 0n);
  }
  put(0x4000, 0x5001n | (random.chance(5) ? 2n : 0n));
  put(0x4008, 0x6001n);
  for (const pasid of PASIDS) {
    const at = (pasid < 64 ? 0x5000 : 0x6000) + (pasid & 63) * 64;
    const type = BigInt(random.pick([1, 1, 2, 2, 3, 3, 3, 4, 0])) << 6n;
    put(at, table() | type | (width() << 2n) | 1n | (random.chance(50) ? 0x200n : 0n) | (random.chance(5) ? 2n : 0n));
    put(at + 8, BigInt(100 + pasid));
    put(
      at + 16,
      table() | (random.chance(20) ? 4n : 0n) | (random.chance(50) ? 0x10n : 0n) | (random.chance(30) ? 0x80n : 0n),
    );
    put(at + 24, 0n);
  }
}

function randomUnit(random: Random, memory: DataView): ReferenceUnit {
  const scalable = random.chance(60);
  const firstStage = scalable && random.chance(90);
  const flag = (percent: number): boolean => random.chance(percent);
  return {
    memory,
    hostWidth: random.pick([36, 39, 46, 52]),
    widths: random.pick([[39], [39, 48], [39, 48, 57], [48]]),
    large: random.pick([[], ['2M'], ['2M', '1G'], ['2M', '1G']]),
    scalable,
    firstStage,
    nested: firstStage && flag(90),
    fiveLevels: firstStage && flag(50),
    firstLarge1G: firstStage && flag(50),
    extendedAccess: firstStage && flag(50),
    accessDirty: scalable && flag(70),
    passThrough: flag(80),
    deviceTlb: flag(50),
    snoop: flag(50),
    rtaddr: scalable ? 0x1400n : 0x1000n,
  };
}

test.each([
  ['the unit', false],
  ['a unit that caches contexts and tables', true],
])('over random tables %s and a second reading of the specification agree, bits of entries included', (_, cached) => {
  const verdicts: Record<string, number> = {};
  for (let seed = 1; seed <= 60; seed++) {
    const random = new Random(seed);
    const host = HostMemory.create(PAGES * 4096);
    // WebAssembly rounds up to 64 KiB; both sides end at 40 pages.
    const memory = HostMemory.wrap(host.u8.buffer as SharedArrayBuffer, 0, PAGES * 4096);
    const copy = new DataView(new ArrayBuffer(PAGES * 4096));
    const reference = randomUnit(random, copy);
    fill(random, copy, reference);
    memory.u8.set(new Uint8Array(copy.buffer));
    const { widths, large, ...flags } = reference;
    const unit = new VtdUnit({
      memory: new IdentitySpace(memory),
      sink: { all() {}, domain() {}, pages() {}, requester() {} },
      hostAddressWidth: reference.hostWidth,
      // Software changes nothing between the walks: what they found stays true.
      ...(cached ? { caches: new VtdCaches({ contexts: 4, tables: 8 }) } : {}),
      capabilities: {
        addressWidths: widths as (39 | 48 | 57)[],
        largePages: large as ('2M' | '1G')[],
        scalable: flags.scalable,
        firstStage: flags.firstStage,
        nested: flags.nested,
        firstStage5Level: flags.fiveLevels,
        firstStage1G: flags.firstLarge1G,
        extendedAccess: flags.extendedAccess,
        secondStageAccessDirty: flags.accessDirty,
        passThrough: flags.passThrough,
        deviceTlb: flags.deviceTlb,
        snoopControl: flags.snoop,
        pasidBits: 20,
        ridPasid: true,
      },
    });
    unit.write(REG.RTADDR, 8, reference.rtaddr);
    unit.write(REG.GCMD, 4, 0x4000_0000);
    unit.write(REG.GCMD, 4, 0x8000_0000);
    const out = newTranslation();
    for (let i = 0; i < 150; i++) {
      const sid = random.pick(SIDS);
      const pasid = reference.scalable && random.chance(60) ? random.pick(PASIDS) : undefined;
      const reach = random.pick([2 ** 32, 2 ** 39, 2 ** 47, 2 ** 48, 2 ** 53]);
      let address = random.word() + random.below(0x20_0000) * 2 ** 32;
      address %= reach;
      if (pasid === undefined && Math.floor(address / 2 ** 20) === 0xfee) continue;
      const access = random.pick([ACCESS.READ, ACCESS.WRITE, ACCESS.READ | ACCESS.WRITE]);
      const want = `${(access & 1) !== 0 ? 'r' : ''}${(access & 2) !== 0 ? 'w' : ''}`;
      const expected = referenceWalk(reference, sid, pasid, BigInt(address), want);
      const result = unit.translate(sid, pasid ?? NO_PASID, address, access, out);
      const where = `seed ${seed}, walk ${i}: ${sid.toString(16)} ${pasid} ${address.toString(16)} ${want}`;
      verdicts[`${expected.verdict} ${expected.reason}`] =
        (verdicts[`${expected.verdict} ${expected.reason}`] ?? 0) + 1;
      if (expected.verdict === 'fault') {
        const high = unit.read(REG.FRCD + 8, 8);
        unit.write(REG.FRCD + 12, 4, 0x8000_0000);
        const recorded = high >> 63n === 1n ? Number((high >> 32n) & 0xffn) : 0;
        // Faults of the tables before the context entry are recorded in any case; FPD hides the others.
        expect({ where, result, recorded }).toEqual({
          where,
          result: expected.quiet ? TRANSLATED.BLOCKED : TRANSLATED.FAULT,
          recorded: expected.quiet ? 0 : expected.reason,
        });
      } else if (expected.verdict === 'direct') {
        expect({ where, result, physical: out.physical }).toEqual({
          where,
          result: TRANSLATED.PASS_THROUGH,
          physical: address,
        });
      } else {
        const rights = `${(out.allowed & 1) !== 0 ? 'r' : ''}${(out.allowed & 2) !== 0 ? 'w' : ''}`;
        expect({ where, result, ...out, rights, entriesRead: 0, allowed: 0 }).toEqual({
          where,
          result: TRANSLATED.OK,
          physical: Number(expected.physical),
          pageMask: Number(expected.size) - 1,
          domain: expected.domain,
          rights: expected.rights,
          entriesRead: 0,
          allowed: 0,
        });
      }
    }
    expect(Buffer.compare(memory.u8, new Uint8Array(copy.buffer)), `memory after seed ${seed}`).toBe(0);
  }
  // The tables were of use: every kind of answer came up.
  const kinds = Object.keys(verdicts);
  expect(verdicts['page 0']).toBeGreaterThan(500);
  expect(kinds.length).toBeGreaterThan(25);
});
