import { expect, test } from 'vitest';
import { BREAK } from '../breakdown.js';
import { SENT } from '../net-tx-queue.js';
import { goodAnswer, refusal, ScriptedVf } from './testing/scripted-vf.js';
import { FRAME, hex, MESSAGES, vfStage } from './testing/vf-stage.js';
import { openIxgbeVf } from './vf-driver.js';

test('F38: a function of another vendor or kind is refused, with what it is and what is wanted, and not touched', () => {
  for (const [vendor, device, id] of [
    [0x1af4, 0x1041, '1af4:1041'],
    [0x8086, 0x10fb, '8086:10fb'],
    [0x8086, 0x1515, '8086:1515'],
  ] as const) {
    const vf = new ScriptedVf({ vendor, device });
    const outcome = openIxgbeVf({
      access: vf,
      dma: vf.dma,
      messages: MESSAGES,
      now: () => 0,
      events: { frame: () => {} },
    });
    expect(outcome).toEqual({
      code: BREAK.NO_DEVICE,
      message: `PCI id ${id} is no 82599 virtual function, want 8086:10ed: registers and rings are its vendor's own`,
    });
    expect(vf.writes).toEqual([]);
  }
});

test('82599 §4.2.2.4: the driver resets, agrees on a version, and asks for what it needs, in this order', () => {
  const { vf, driver } = vfStage();
  expect(vf.sent.map((words) => words.slice(0, 3))).toEqual([
    [0x01, 0, 0], // VF_RESET
    [0x08, 6, 0], // API_NEGOTIATE 1.5
    [0x09, 0, 0], // GET_QUEUES
    [0x02, 0x5452, 0x0100], // SET_MAC_ADDR: what the physical function gave
    [0x05, 1518, 0], // SET_LPE: with the check sequence
    [0x0c, 0, 0], // UPDATE_XCAST_MODE: no groups
    [0x10, 0, 0], // GET_LINK_STATE
  ]);
  expect([driver.state, driver.isLinkUp, driver.speed]).toEqual(['running', true, 10_000]);
  expect([...driver.mac]).toEqual([0x52, 0x54, 0, 0, 0, 1]);
});

test('a physical function that knows only older versions is spoken to in the newest of them', () => {
  const vf = new ScriptedVf();
  vf.answer = (words) => (words[0] === 8 && words[1]! > 2 ? refusal(words) : goodAnswer(words));
  const { driver } = vfStage(vf);
  expect(vf.sent.filter(([type]) => type === 8).map(([, version]) => version)).toEqual([6, 5, 4, 3, 2]);
  expect(driver.api).toBe(2);
  expect(driver.commands.setMode('allMulticast')).toBeUndefined();
});

test('82599 §4.6.7.1, §4.6.8.1: a ring is programmed before its queue is enabled, and filled afterwards', () => {
  const { vf } = vfStage();
  expect(vf.written(0x1008)).toEqual([1024]);
  // SRRCTL: one buffer of 2 KiB, advanced, drop when full.
  expect(vf.written(0x1014)).toEqual([0x1200_0002]);
  // RXDCTL: enable, and tags are taken out.
  expect(vf.written(0x1028)).toEqual([0x4200_0000]);
  expect(vf.written(0x2028)).toEqual([0x0200_0000]);
  // Head and tail 0 until the queue is enabled; then 63 of 64 descriptors.
  expect(vf.written(0x1018)).toEqual([0, 63]);
  const [lo, hi, header, length] = vf.descriptor('rx', 62) as [number, number, number, number];
  expect(vf.space.resolve(hi * 2 ** 32 + lo, 2048, 3)).toBeGreaterThan(0);
  expect([header, length]).toEqual([0, 0]);
});

test('82599 §7.1.6.2: a frame that is written back comes up with its tag, hash and checksum', () => {
  const { vf, driver, heard } = vfStage();
  const offloads: number[][] = [];
  driver.close();
  const again = vfStage(vf, {
    events: {
      frame: (frame) => {
        heard.push(frame.bytes());
        const { flags, hashReport, hashValue, vlanTci } = frame.offload;
        offloads.push([flags, hashReport, hashValue, vlanTci]);
      },
    },
  });
  vf.fillBuffer(0, FRAME);
  // types: TCP over IPv4, RSS type 1; hash 0xdeadbeef; status DD EOP VP L4CS IPCS; 60 bytes; tag 0x6123.
  vf.writeBack('rx', 0, hex('11010000 efbeadde 6b000000 3c002361'));
  again.driver.interrupt(0);
  expect(again.driver.poll()).toBe(1);
  expect(heard).toEqual([FRAME]);
  // DATA_VALID; virtio's TCPv4; the hash; the tag.
  expect(offloads).toEqual([[2, 2, 0xdead_beef, 0x6123]]);
  // The buffer is posted again, behind the others.
  expect(vf.ring('rx').tail).toBe(0);
});

test('82599 §7.2.3.2: a frame is one context, one data descriptor with its length, and a report', () => {
  const { vf, driver } = vfStage();
  expect(driver.sendBytes(FRAME)).toBe(SENT.OK);
  // vlan_macip_lens: 14 bytes before the network header; DTYP context, DEXT.
  expect(vf.descriptor('tx', 0)).toEqual([14 << 9, 0, 0x2020_0000, 0]);
  const [, , cmd, olinfo] = vf.descriptor('tx', 1);
  // 60 bytes; DTYP data, EOP, IFCS, RS, DEXT. PAYLEN 60, CC.
  expect([cmd, olinfo]).toEqual([0x2b30_003c, (60 << 14) | 0x80]);
  expect(vf.shown(1)).toEqual(FRAME);
  expect(vf.ring('tx').tail).toBe(2);
  // The queue keeps the context: the next frame does without.
  driver.sendBytes(FRAME);
  expect(vf.ring('tx').tail).toBe(3);
});
