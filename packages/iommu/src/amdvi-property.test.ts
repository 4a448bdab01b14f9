import fc from 'fast-check';
import { expect, test } from 'vitest';
import { explainAmdVi } from './amdvi-explain.js';
import { AmdViBench, AT, READ, WRITE } from './testing/amdvi-bench.js';
import { INDEXES, type RandomMachine, randomMachine, TABLES_AT } from './testing/amdvi-random.js';
import { type ReferenceVerdict, referenceWalk } from './testing/amdvi-reference.js';
import { TRANSLATED } from './translation.js';

const RUNS = { numRuns: 150, seed: 48882 } as const;

/** What the unit did with one request, in the reference's words. */
function walked(bench: AmdViBench, device: number, address: bigint, write: boolean): ReferenceVerdict {
  const slot = bench.logged;
  const outcome = bench.translate(Number(address), write ? WRITE : READ, device);
  const rights = ((bench.out.allowed & READ) !== 0 ? 'R' : '') + ((bench.out.allowed & WRITE) !== 0 ? 'W' : '');
  switch (outcome) {
    case TRANSLATED.OK: {
      const { physical, pageMask, domain } = bench.out;
      return { kind: 'page', physical: BigInt(physical), bytes: BigInt(pageMask) + 1n, rights, domain: BigInt(domain) };
    }
    case TRANSLATED.PASS_THROUGH:
      expect(bench.out.physical).toBe(Number(address));
      return { kind: 'untranslated', rights };
    case TRANSLATED.INTERRUPT:
      return { kind: 'interrupt' };
    case TRANSLATED.BLOCKED:
      expect(bench.logged).toBe(slot);
      return { kind: 'fault', event: undefined };
    default: {
      const at = AT.events + slot * 16;
      return { kind: 'fault', event: [bench.get64(at), bench.get64(at + 8)] };
    }
  }
}

function build(machine: RandomMachine): AmdViBench {
  const bench = new AmdViBench().start();
  machine.tables.forEach((entries, table) => {
    for (const [i, entry] of entries.entries()) bench.put64(TABLES_AT + table * 4096 + INDEXES[i]! * 8, entry);
  });
  machine.devices.forEach(([q0, q1, q2, q3], device) => {
    bench.device(device, q0!, q1, q2, q3);
  });
  return bench;
}

/** A page with the interrupt window in it is handed out by 4 KiB. */
function asHandedOut(verdict: ReferenceVerdict, address: bigint): ReferenceVerdict {
  if (verdict.kind !== 'page') return verdict;
  const first = address & -verdict.bytes;
  return first < 0xfef0_0000n && first + verdict.bytes > 0xfee0_0000n ? { ...verdict, bytes: 0x1000n } : verdict;
}

test('AMD IOMMU §2.2: over random tables the walk does what a slow reading of the specification does, event for event', () => {
  const seen = new Map<string, number>();
  fc.assert(
    fc.property(randomMachine, (machine) => {
      const bench = build(machine);
      const view = bench.memory.view;
      const setup = { view, levels: 6, deviceTable: BigInt(AT.devices), deviceTableBytes: 4096n };
      for (const { device, address, write } of machine.requests) {
        const expected = referenceWalk(setup, device, address, write);
        expect(walked(bench, device, address, write)).toEqual(asHandedOut(expected, address));
        expect(bench.out.entriesRead).toBeLessThanOrEqual(7);
        const name = expected.kind === 'fault' ? `event ${(expected.event?.[0] ?? 0n) >> 60n}` : expected.kind;
        seen.set(name, (seen.get(name) ?? 0) + 1);
      }
    }),
    RUNS,
  );
  // The tables are such that every kind of end was met, most often by walks that go somewhere.
  const names = ['page', 'untranslated', 'interrupt', 'event 0', 'event 1', 'event 2', 'event 4', 'event 8'];
  expect([...seen.keys()].sort()).toEqual(names.sort());
  expect(seen.get('page')).toBeGreaterThan(500);
});

test('explainAmdVi reaches the end that translate reaches, over random tables, and changes nothing', () => {
  fc.assert(
    fc.property(randomMachine, (machine) => {
      const bench = build(machine);
      for (const { device, address, write } of machine.requests) {
        const logged = bench.logged;
        const explained = explainAmdVi(bench.unit, device, Number(address), write ? WRITE : READ);
        expect(bench.logged).toBe(logged);
        const outcome = bench.translate(Number(address), write ? WRITE : READ, device);
        const reached = outcome === TRANSLATED.OK || outcome === TRANSLATED.PASS_THROUGH;
        expect(explained.physical, explained.outcome).toBe(reached ? bench.out.physical : undefined);
        expect(explained.steps.filter((step) => step.raw.length > 0).length).toBe(bench.out.entriesRead);
        expect(explained.outcome.startsWith('interrupt request')).toBe(outcome === TRANSLATED.INTERRUPT);
        const code = Number(bench.get64(AT.events + logged * 16) >> 60n);
        const name = [
          '',
          'ILLEGAL_DEV_TABLE_ENTRY',
          'IO_PAGE_FAULT',
          'DEV_TAB_HARDWARE_ERROR',
          'PAGE_TAB_HARDWARE_ERROR',
        ];
        if (outcome === TRANSLATED.FAULT)
          expect(explained.outcome.split(':')[0]).toBe(name[code] ?? 'INVALID_DEVICE_REQUEST');
        if (outcome === TRANSLATED.BLOCKED) expect(explained.outcome).toMatch(/^IO_PAGE_FAULT: /);
      }
    }),
    RUNS,
  );
});
