import { expect, test } from 'vitest';
import { ihvParent } from './ihv-parent.js';
import { loadParent } from './load-parent.js';
import { ContractDriver } from './testing/contract-driver.js';
import { CONTRACT_RAM_BYTES, vdpaContract } from './testing/index.js';
import { LoopingCard } from './testing/looping-addon.js';
import { sendSome } from './testing/traffic-cases.js';
import { VdpaStage } from './testing/vdpa-stage.js';
import { VDPA } from './vdpa-outcome.js';
import { isVdpaRefusal } from './vdpa-parent.js';

const stage = new VdpaStage();
const ram = stage.processPages.allocate(CONTRACT_RAM_BYTES);
const { host, memory } = stage;
const loaded = await loadParent(new URL('./testing/looping-addon.ts', import.meta.url).href, host);
if (isVdpaRefusal(loaded)) throw new Error(loaded.message);

for (const { title, run } of vdpaContract('loaded add-on', () => ({ parent: loaded, memory, ram }))) test(title, run);

test('F70: a plug-in is quiesced while the device is suspended, reset or gone, and restarted when it runs', () => {
  const cards: LoopingCard[] = [];
  const parent = ihvParent(host, { name: 'ihv', device: { holdWhenFull: true } }, () => {
    const card = new LoopingCard(host);
    cards.push(card);
    return card;
  });
  const device = parent.add('a', {});
  if (isVdpaRefusal(device)) throw new Error(device.message);
  const card = cards[0]!;
  let woken = 0;
  device.setWorkCallback(() => woken++);
  const driver = new ContractDriver({ parent, memory, ram }, device);
  driver.map();
  expect(card.calls).toEqual(['interrupts']);
  driver.start();
  expect(card.calls.splice(0)).toEqual(['interrupts', 'restart']);
  sendSome(driver, 20);
  expect(driver.heard).toEqual(driver.all);
  expect(woken).toBeGreaterThan(0);
  device.suspend();
  device.suspend();
  expect(card.calls.splice(0)).toEqual(['quiesce']);
  device.resume();
  expect(card.calls.splice(0)).toEqual(['restart']);
  device.suspend();
  device.reset();
  parent.remove(device);
  expect(card.calls.at(-1)).toBe('no interrupts');
  expect(card.calls.filter((call) => call === 'restart')).toEqual([]);
});

test.each([
  ['that is not there', 'file:///none/addon.js', VDPA.NONE, 'cannot be loaded'],
  ['that throws', 'data:text/javascript,throw new Error("no card in the slot")', VDPA.NONE, 'no card in the slot'],
  ['without openParent', 'data:text/javascript,export const x = 1', VDPA.INVALID, 'exports no function openParent'],
  ['whose parent is none', 'data:text/javascript,export const openParent = () => 5', VDPA.INVALID, 'it is no object'],
  [
    'whose parent lacks a part',
    'data:text/javascript,export const openParent = () => ({ name: "x", classes: [1], maxQueues: 3 })',
    VDPA.INVALID,
    'has no features',
  ],
] as const)('a module %s is a refusal that says so', async (_, url, outcome, message) => {
  expect(await loadParent(url, host)).toMatchObject({ outcome, message: expect.stringContaining(message) });
});
