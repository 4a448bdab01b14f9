import { expect, test } from 'vitest';
import { simParent } from './sim-parent.js';
import { CONTRACT_RAM_BYTES, type ContractMachine, vdpaContract } from './testing/index.js';
import { VdpaStage } from './testing/vdpa-stage.js';
import { VDPA } from './vdpa-outcome.js';

const stage = new VdpaStage();
const ram = stage.processPages.allocate(CONTRACT_RAM_BYTES);

function machine(): ContractMachine {
  const parent = simParent(stage.host);
  return {
    parent,
    memory: stage.memory,
    ram,
    changeConfig: (device) => parent.modelOf(device)?.setLink(false),
  };
}

for (const { title, run } of vdpaContract('simulator', machine)) test(title, run);

test('all memory of the host comes back when devices are removed', () => {
  const before = stage.host.pages.inUse;
  const parent = simParent(stage.host, { devices: 2 });
  const devices = ['a', 'b'].map((name) => parent.add(name, {}));
  expect(parent.add('c', {})).toMatchObject({
    outcome: VDPA.NO_ROOM,
    message: expect.stringContaining('no room for c'),
  });
  for (const device of devices) if ('step' in device) parent.remove(device);
  expect(stage.host.pages.inUse).toBe(before);
});
