import { describe, expect, test } from 'vitest';
import { FlowCommands, type FlowField } from './flow-commands.js';
import { AdminStage, hex, Replies, text } from './testing/admin-stage.js';

const OK = '0000000000000000';
const ETH = 1;
const IPV4 = 2;
const IPV6 = 3;
const TCP = 4;
const UDP = 5;
const RESOURCES = '04000000 03000000 08000000 06000000 0a 03 0000';
const selector = (type: string, flags: string, mask: string): string =>
  `${type}${flags}0000 ${(mask.length / 2).toString(16).padStart(2, '0')}000000 ${mask}`;
const selectors = (flags: string): string =>
  `05 00000000000000 ${[14, 20, 40, 20, 8].map((bytes, at) => selector(`0${at + 1}`, flags, 'ff'.repeat(bytes))).join('')}`;
const ACTIONS = '02 00000000000000 0102';

const padded = (start: string, bytes: number): Uint8Array => {
  const out = new Uint8Array(bytes);
  out.set(hex(start));
  return out;
};
const eth = (mask: string, key: string): FlowField => ({ type: ETH, mask: padded(mask, 14), key: padded(key, 14) });
const at12 = (value: string): string => `${'00'.repeat(12)}${value}`;
const ip4 = (mask: string, key: string): FlowField => ({ type: IPV4, mask: padded(mask, 20), key: padded(key, 20) });
const ip6 = (mask: string, key: string): FlowField => ({ type: IPV6, mask: padded(mask, 40), key: padded(key, 40) });
const port = (type: number): FlowField => {
  const bytes = type === TCP ? 20 : 8;
  return { type, mask: padded('0000ffff', bytes), key: padded('000003e8', bytes) };
};
const TO_IPV4 = eth(at12('ffff'), at12('0800'));
const TO_TCP = ip4(`${'00'.repeat(9)}ff`, `${'00'.repeat(9)}06`);

/** A device with flow filters that are enabled. */
function staged(flags = '01', list = selectors(flags)): { stage: AdminStage; flows: FlowCommands; replies: Replies } {
  const stage = new AdminStage().begin();
  const flows = new FlowCommands(stage.client);
  const replies = new Replies();
  stage.answer = ({ opcode, data }) => {
    if (opcode !== 8) return OK;
    return `${OK} ${{ 0: RESOURCES, 1: list, 2: ACTIONS }[data[0]!]}`;
  };
  flows.enable(replies.done);
  stage.settle();
  return { stage, flows, replies };
}

describe('flow filters, from the driver', () => {
  test('drv.net.flow-filter.1 drv.admin.caps.1,.2,.3,.4: all three capabilities, as the device has them, before anything', () => {
    const { stage, replies } = staged();
    expect(replies.ended).toEqual(['0.0']);
    const sets = stage.asked.filter(({ opcode }) => opcode === 9).map(({ data }) => text(data));
    expect(sets.map((set) => set.slice(0, 4))).toEqual(['0008', '0108', '0208']);
    expect(sets[0]).toBe(`0008000000000000${RESOURCES.replaceAll(' ', '')}00000000`);
    expect(sets[1]!.startsWith(`0108000000000000${selectors('01').replaceAll(' ', '')}`)).toBe(true);
    expect(sets[2]).toBe(`0208000000000000${ACTIONS.replaceAll(' ', '')}000000000000`);
    const flows = new FlowCommands(stage.client);
    expect(() => flows.createGroup(0, 1, () => {})).toThrow('id is 0, want below 0');
    expect(() => flows.createClassifier(0, [TO_IPV4], () => {})).toThrow('headers and bits that the device matches');
  });

  test('a capability that the device refuses ends it', () => {
    const stage = new AdminStage().begin();
    const replies = new Replies();
    stage.script.push('0600030000000000');
    new FlowCommands(stage.client).enable(replies.done);
    stage.settle();
    expect(replies.ended).toEqual(['6.3']);
    expect(stage.asked).toHaveLength(1);
  });

  test('drv.net.flow-filter.8,.9,.10: ETH, then an IP header, then TCP or UDP', () => {
    const { stage, flows, replies } = staged();
    for (const fields of [
      [],
      [TO_TCP],
      [TO_IPV4, TO_IPV4],
      [TO_IPV4, port(TCP)],
      [TO_IPV4, TO_TCP, TO_TCP],
      [TO_IPV4, TO_TCP, { type: 6, mask: new Uint8Array(8), key: new Uint8Array(8) }],
      [TO_IPV4, TO_TCP, port(TCP), port(TCP)],
    ])
      expect(() => flows.createClassifier(0, fields, replies.done)).toThrow('fields is');
    stage.asked.length = 0;
    expect(flows.createClassifier(0, [TO_IPV4, TO_TCP, port(TCP)], replies.done)).toBe(true);
    stage.settle();
    expect(text(stage.asked[0]!.data).slice(0, 64)).toBe(
      '01020000 00000000 0000000000000000 0300000000000000 01010000 0e000000'.replaceAll(' ', ''),
    );
    const v6 = eth(at12('ffff'), at12('86dd'));
    const udp = ip6(`${'00'.repeat(6)}ff`, `${'00'.repeat(6)}11`);
    expect(flows.createClassifier(1, [v6, udp, port(UDP)], replies.done)).toBe(true);
  });

  test('drv.net.flow-filter.11,.12,.13,.14: the next header is masked whole, and named', () => {
    const { flows, replies } = staged();
    for (const link of [
      eth('', ''),
      eth(at12('ff00'), at12('0800')),
      eth(at12('ffff'), at12('86dd')),
      eth(at12('ffff'), ''),
    ])
      expect(() => flows.createClassifier(0, [link, TO_TCP], replies.done)).toThrow('where the next header is named');
    const nine = '00'.repeat(9);
    for (const network of [
      ip4('', ''),
      ip4(`${nine}0f`, `${nine}06`),
      ip4(`${nine}ff`, `${nine}11`),
      ip4(`${nine}ff`, ''),
    ])
      expect(() => flows.createClassifier(0, [TO_IPV4, network, port(TCP)], replies.done)).toThrow('is named');
  });

  test('drv.net.flow-filter.15: without PARTIAL_MASK whole fields alone', () => {
    const half = eth('ff00', '5200');
    expect(() => staged('00').flows.createClassifier(0, [half], () => {})).toThrow('whole fields');
    expect(staged('01').flows.createClassifier(0, [half], () => {})).toBe(true);
    const { stage, flows } = staged('00');
    stage.asked.length = 0;
    expect(flows.createClassifier(0, [eth('ffffffffffff', '525400123456')], () => {})).toBe(true);
    stage.turn();
    // No flag where the device has none.
    expect(text(stage.asked[0]!.data.slice(24, 32))).toBe('010000000e000000');
  });

  test('bits, headers and lengths that the device does not match', () => {
    const only = `01 00000000000000 ${selector('01', '01', `${'ff'.repeat(6)}${'00'.repeat(8)}`)}`;
    const { flows, replies } = staged('01', only);
    expect(flows.createClassifier(0, [eth('ffffffffffff', '')], replies.done)).toBe(true);
    expect(() => flows.createClassifier(1, [TO_IPV4], replies.done)).toThrow('bits that the device matches');
    expect(() =>
      flows.createClassifier(1, [{ type: ETH, mask: new Uint8Array(6), key: new Uint8Array(6) }], replies.done),
    ).toThrow('whole length');
    // A list that is no list: nothing is matched.
    for (const list of ['ff', '02 00000000000000 0101', `01 00000000000000 ${selector('01', '01', 'ff')}`, ''])
      expect(() => staged('01', list).flows.createClassifier(0, [eth('', '')], () => {})).toThrow('device matches');
  });

  const ready = (): ReturnType<typeof staged> => {
    const all = staged();
    all.flows.createGroup(1, 500, all.replies.done);
    all.flows.createClassifier(2, [TO_IPV4], all.replies.done);
    all.stage.settle();
    all.stage.asked.length = 0;
    return all;
  };
  const rule = { id: 3, group: 1, classifier: 2, priority: 9, fields: [TO_IPV4] };

  test('rules as they go out', () => {
    const { stage, flows, replies } = ready();
    expect(flows.createRule({ ...rule, pair: 5 }, replies.done)).toBe(true);
    expect(flows.createRule({ ...rule, id: 4, priority: 8 }, replies.done)).toBe(true);
    stage.settle();
    const head = (id: string): string => `02020000 ${id} 0000000000000000 01000000 02000000`;
    const key = at12('0800');
    expect(stage.asked.map(({ opcode, data }) => [opcode, text(data)])).toEqual([
      [0xa, `${head('03000000')} 09 0e 02 00 0a00 0000 ${key} 0000`.replaceAll(' ', '')],
      [0xa, `${head('04000000')} 08 0e 01 00 0000 0000 ${key} 0000`.replaceAll(' ', '')],
    ]);
  });

  test('drv.net.flow-filter.2,.3,.4,.5 drv.admin.resource-objs.4,.5: what rules depend on goes after them', () => {
    const { stage, flows, replies } = ready();
    flows.createRule(rule, replies.done);
    stage.settle();
    expect(() => flows.destroyGroup(1, replies.done)).toThrow('an object that no other one depends on');
    expect(() => flows.destroyClassifier(2, replies.done)).toThrow('an object that no other one depends on');
    flows.destroyRule(3, replies.done);
    // Not before it is known to be gone.
    expect(() => flows.destroyGroup(1, replies.done)).toThrow('no other one depends on');
    stage.settle();
    expect([flows.destroyGroup(1, replies.done), flows.destroyClassifier(2, replies.done)]).toEqual([true, true]);
  });

  test('drv.net.flow-filter.6,.7: no two rules of a group with one priority', () => {
    const { stage, flows, replies } = ready();
    flows.createRule(rule, replies.done);
    stage.settle();
    expect(() => flows.createRule({ ...rule, id: 4 }, replies.done)).toThrow(
      'one below 10 that no rule of the group has',
    );
    for (const priority of [10, 255, -1])
      expect(() => flows.createRule({ ...rule, id: 4, priority }, replies.done)).toThrow('priority');
    flows.destroyRule(3, replies.done);
    stage.settle();
    expect(flows.createRule({ ...rule, id: 4 }, replies.done)).toBe(true);
    // One that the device refused left its priority free.
    stage.settle();
    stage.script.push('1c00060000000000');
    flows.createRule({ ...rule, id: 5, priority: 1 }, replies.done);
    stage.settle();
    expect(flows.createRule({ ...rule, id: 5, priority: 1 }, replies.done)).toBe(true);
  });

  test('drv.admin.resource-objs.1,.2,.3,.6 drv.admin.caps.5: ids, and capabilities of what there is', () => {
    const { stage, flows, replies } = ready();
    expect(() => flows.createGroup(1, 501, replies.done)).toThrow('id is 1, want an id without an object');
    // groups_limit 4, classifiers_limit 3, rules below the lower of 8 and 6
    for (const id of [4, 5, -1, 0.5]) expect(() => flows.createGroup(id, 1, replies.done)).toThrow('want below 4');
    expect(() => flows.createClassifier(3, [TO_IPV4], replies.done)).toThrow('want below 3');
    expect(() => flows.createRule({ ...rule, id: 6 }, replies.done)).toThrow('want below 6');
    expect(() => flows.createRule({ ...rule, group: 0 }, replies.done)).toThrow(
      'needs is 0, want an object of type 0x200',
    );
    expect(() => flows.destroyRule(3, replies.done)).toThrow('an object of type 0x202 that there is');
    expect(() => flows.enable(replies.done)).toThrow('want none of type 0x200 when the capability is set');
    flows.destroyGroup(1, replies.done);
    expect(() => flows.destroyGroup(1, replies.done)).toThrow('that there is');
    stage.settle();
    expect(() => flows.destroyGroup(1, replies.done)).toThrow('that there is');
    expect(flows.createGroup(1, 7, replies.done)).toBe(true);
  });
});
