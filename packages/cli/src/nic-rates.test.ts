import { afterEach, beforeEach, expect, test } from 'vitest';
import { rateBytes } from './nic-rates.js';
import { ServedCard } from './testing/served-card.js';

let card: ServedCard;

beforeEach(async () => {
  card = new ServedCard();
  card.describe();
  await card.serve();
});

afterEach(() => card.remove());

const rates = async (...words: string[]) => JSON.parse(await card.nic('rate', 'show', ...words, '--json'));

test('rates are shown and set as devlink does: bytes a second, and what is 0 is left out', async () => {
  const leaf = { type: 'leaf' };
  expect(await rates()).toEqual({ rate: { 'ringwire/nic/1': leaf, 'ringwire/nic/2': leaf, 'ringwire/nic/3': leaf } });
  await card.nic('rate', 'add', 'tenant', 'tx_max', '5gbit', 'tx_share', '1Gbit');
  await card.nic('rate', 'add', 'inner', 'parent', 'tenant');
  await card.nic(
    'rate',
    'set',
    'vf0',
    'tx_max',
    '1gbit',
    'tx_share',
    '100mbit',
    'tx_weight',
    '3',
    'tx_priority',
    '2',
    'parent',
    'inner',
  );
  await card.nic('rate', 'set', 'ringwire/nic/3', 'tx_max', '12.5MBps');
  const all = {
    'ringwire/nic/1': leaf,
    'ringwire/nic/2': {
      ...{ type: 'leaf', tx_share: 12_500_000, tx_max: 125_000_000, tx_priority: 2, tx_weight: 3, parent: 'inner' },
    },
    'ringwire/nic/3': { type: 'leaf', tx_max: 12_500_000 },
    'ringwire/nic/tenant': { type: 'node', tx_share: 125_000_000, tx_max: 625_000_000 },
    'ringwire/nic/inner': { type: 'node', parent: 'tenant' },
  };
  expect(await rates()).toEqual({ rate: all });
  expect(await card.nic('rate', 'show')).toBe(
    [
      'ringwire/nic/1: type leaf',
      'ringwire/nic/2: type leaf tx_share 100Mbit tx_max 1Gbit tx_priority 2 tx_weight 3 parent inner',
      'ringwire/nic/3: type leaf tx_max 100Mbit',
      'ringwire/nic/tenant: type node tx_share 1Gbit tx_max 5Gbit',
      'ringwire/nic/inner: type node parent tenant',
      '',
    ].join('\n'),
  );
  expect(await rates('tenant')).toEqual({ rate: { 'ringwire/nic/tenant': all['ringwire/nic/tenant'] } });
  // `ip link` knows the same rates.
  const [{ vfinfo_list: vfs }] = JSON.parse(await card.nic('show', '', '--json'));
  expect(vfs.map((vf: { rate: unknown }) => vf.rate)).toEqual([
    { max_tx: 1000, min_tx: 100 },
    { max_tx: 100, min_tx: 0 },
  ]);
  await card.nic('rate', 'set', 'vf0', 'noparent', 'tx_max', '0', 'tx_share', '0');
  await card.nic('rate', 'del', 'inner');
  expect(await rates('2')).toEqual({ rate: { 'ringwire/nic/2': { type: 'leaf', tx_priority: 2, tx_weight: 3 } } });
});

test('SR-28: what cannot be is refused with the reason, and all rates are as before', async () => {
  await card.nic('rate', 'add', 'tenant');
  await card.nic('rate', 'set', 'vf0', 'parent', 'tenant', 'tx_max', '1gbit');
  const before = await rates();
  for (const [words, reason] of [
    ['set vf0 tx_weight 9 noparent tx_share 2gbit', 'minTxRate is 2000, want at most maxTxRate, 1000'],
    ['set vf0 tx_max 1500kbit', 'tx_max is 1500000 bit/s, want a multiple of 1 Mbit/s'],
    ['set vf0 tx_priority 70000 parent tenant', 'priority is 70000'],
    ['set vf7 tx_max 1gbit', 'No port is called vf7.'],
    ['set nobody tx_max 1gbit', 'No group is called nobody.'],
    ['set wire tx_max 1gbit', 'The wire has a speed'],
    ['set vf0 parent nobody', 'name is nobody, want a group that there is'],
    ['set tenant parent tenant', 'want a group that is not in tenant'],
    ['set vf0 tx_max fast', 'Want a rate such as 100mbit'],
    ['set vf0 tx_max', 'each with a value'],
    ['add tenant', 'name is tenant, want a name that no group has'],
    ['add 7', 'as a group'],
    ['add vf9', 'as a group'],
    ['del tenant', 'name is tenant, want a group with nothing in it'],
    ['del vf0', 'vf0 is a port: want a group'],
  ] as const) {
    const [act, ...rest] = words.split(' ');
    await expect(card.nic('rate', act!, ...rest), words).rejects.toThrow(reason);
  }
  expect(await rates()).toEqual(before);
});

test.each([
  ['8000', 1000],
  ['1bit', 0],
  ['8kbit', 1000],
  ['8Kibit', 1024],
  ['1.5Mbit', 187_500],
  ['1gbit', 125_000_000],
  ['1tbit', 125_000_000_000],
  ['1Bps', 1],
  ['3KBPS', 3000],
  ['1MiBps', 1_048_576],
])('devlink-rate(8): %s is %d bytes a second', (text, bytes) => expect(rateBytes(text)).toBe(bytes));
