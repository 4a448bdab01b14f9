import { FlowCommands } from '@ringwire/guest-drivers';
import { expect, test } from 'vitest';
import { DeviceThread } from './device-thread.js';
import { loopbackThread, NetSide, netMemory, numberedFrame } from './testing/net-thread.js';

test('a device in another thread takes administration commands, and filters what they say', async () => {
  const memory = netMemory();
  const thread = new DeviceThread({ ...loopbackThread('pci', memory), admin: { queues: 2 } });
  let received = 0;
  const events = {
    frame: (): void => {
      received++;
    },
  };
  const side = new NetSide(thread.link, memory, events, { admin: {} });
  const client = side.driver.admin!;
  const wait = (send: (done: (reply: { status: number }) => void) => boolean): number => {
    let ended: number | undefined;
    const done = ({ status }: { status: number }): void => {
      ended = status;
    };
    if (!send(done)) throw new Error('the command was not sent');
    while (ended === undefined) {
      const came = side.attend();
      side.driver.watch();
      if (!came) throw new Error('no interrupt came any more');
    }
    return ended;
  };
  const flows = new FlowCommands(client);
  const all = { type: 1, mask: new Uint8Array(14), key: new Uint8Array(14) };
  const rule = { id: 0, group: 0, classifier: 0, priority: 1, fields: [all] };
  expect(wait((done) => client.self.begin(done))).toBe(0);
  expect(wait((done) => flows.enable(done))).toBe(0);
  expect(wait((done) => flows.createGroup(0, 1, done))).toBe(0);
  expect(wait((done) => flows.createClassifier(0, [all], done))).toBe(0);
  expect(wait((done) => flows.createRule(rule, done))).toBe(0);
  for (let n = 0; n < 10; n++) side.driver.sendBytes(numberedFrame(n));
  // Behind the frames: whatever came of them came before the rule goes.
  expect(wait((done) => client.self.send('CAP_ID_LIST_QUERY', 0, new Uint8Array(0), 8, done))).toBe(0);
  expect(received).toBe(0);
  expect(wait((done) => flows.destroyRule(0, done))).toBe(0);
  side.driver.sendBytes(numberedFrame(10));
  while (received === 0) if (!side.attend()) throw new Error('no interrupt came any more');
  expect(received).toBe(1);
  side.driver.close();
  await thread.close();
});
