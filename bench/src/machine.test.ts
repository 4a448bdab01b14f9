import { expect, test } from 'vitest';
import { peerProblem } from './dpdk-peer.js';
import { coresOf, describeMachine, freeHugeBytes } from './machine.js';

const MEMINFO = `MemTotal:       24683720 kB
HugePages_Total:     512
HugePages_Free:      256
HugePages_Rsvd:        0
Hugepagesize:       2048 kB
`;

test('free huge pages are counted in bytes of the default size', () => {
  expect(freeHugeBytes(MEMINFO)).toBe(512 * 2 ** 20);
  expect(freeHugeBytes('MemTotal: 1 kB\n')).toBe(0);
});

test('core lists have single cores and ranges', () => {
  expect(coresOf('0-1')).toEqual([0, 1]);
  expect(coresOf('0-2,5,8-9')).toEqual([0, 1, 2, 5, 8, 9]);
});

test('the machine names what figures depend on', () => {
  const machine = describeMachine();
  expect(machine.cores).toBeGreaterThan(0);
  expect(machine.node).toBe(process.versions.node);
  expect(machine.load).toHaveLength(3);
});

test('without testpmd, or without huge pages, the line says how to get them', () => {
  const machine = describeMachine();
  expect(peerProblem({ ...machine, dpdk: null }, MEMINFO)).toContain('apt-get install dpdk dpdk-dev');
  const few = MEMINFO.replace('256', '127');
  expect(peerProblem({ ...machine, dpdk: '/usr/bin/dpdk-testpmd' }, few)).toBe(
    '254 MiB of huge pages free, want 256; get them with: echo 512 > /proc/sys/vm/nr_hugepages',
  );
});
