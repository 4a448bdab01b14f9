import { describe, expect, test } from 'vitest';
import { complaint, steady, TestpmdOutput } from './dpdk-output.js';

/** Of DPDK 22.11: four requests typed while frames began to flow, the answers as they came when it quit. */
const RECORDED = `Interactive-mode selected
Set rxonly packet forwarding mode
Auto-start selected
Configuring Port 0 (socket 0)
Port 0: 56:48:4F:53:54:00
Checking link statuses...
testpmd> VHOST_CONFIG: (vhost.sock) new vhost user connection is 27
show port stats 0\r
testpmd> show port stats 0\r
testpmd> show port stats 0\r
testpmd> quit\r

  ######################## NIC statistics for port 0  ########################
  RX-packets: 1700576    RX-missed: 0          RX-bytes:  108836864
  RX-errors: 0
  RX-nombuf:  0         
  TX-packets: 0          TX-errors: 0          TX-bytes:  0

  Throughput (since last show)
  Rx-pps:            0          Rx-bps:            0
  Tx-pps:            0          Tx-bps:            0
  ############################################################################

  ######################## NIC statistics for port 0  ########################
  RX-packets: 5954752    RX-missed: 0          RX-bytes:  381103424
  RX-errors: 0
  RX-nombuf:  0         
  TX-packets: 0          TX-errors: 0          TX-bytes:  0

  Throughput (since last show)
  Rx-pps:     10700315          Rx-bps:   5478547424
  Tx-pps:            0          Tx-bps:            0
  ############################################################################

  ######################## NIC statistics for port 0  ########################
  RX-packets: 7961312    RX-missed: 0          RX-bytes:  509523968
  RX-errors: 0
  RX-nombuf:  0         
  TX-packets: 0          TX-errors: 0          TX-bytes:  0

  Throughput (since last show)
  Rx-pps:      4888886          Rx-bps:   2503123760
  Tx-pps:            0          Tx-bps:            0
  ############################################################################
`;

test('a recorded run has one figure per request and its prompts', () => {
  const output = new TestpmdOutput();
  output.push(RECORDED);
  expect(output.rxPps).toEqual([0, 10_700_315, 4_888_886]);
  expect(output.prompts).toBe(4);
});

test('the same comes out however the output is cut', () => {
  for (const size of [1, 2, 7, 64, 1000]) {
    const output = new TestpmdOutput();
    for (let at = 0; at < RECORDED.length; at += size) output.push(RECORDED.slice(at, at + size));
    expect({ size, rxPps: output.rxPps, prompts: output.prompts }).toEqual({
      size,
      rxPps: [0, 10_700_315, 4_888_886],
      prompts: 4,
    });
  }
});

describe('steady figures', () => {
  test('begin behind the first that is not 0, whose interval has the start in it', () => {
    expect(steady([0, 0, 5, 30, 31, 29])).toEqual([30, 31, 29]);
  });
  test('are none when nothing came', () => {
    expect(steady([0, 0, 0])).toEqual([]);
    expect(steady([])).toEqual([]);
  });
  test('leave out what was asked for when the sender had ended', () => {
    expect(steady([0, 5, 30, 0])).toEqual([30]);
  });
});

test('a complaint is the last line that is one, else the last line', () => {
  const failed = 'EAL: Detected 2 lcores\nEAL: FATAL: Cannot get hugepage information.\nEAL: bye\n';
  expect(complaint(failed)).toBe('EAL: FATAL: Cannot get hugepage information.');
  expect(complaint('one\ntwo\n\n')).toBe('two');
  expect(complaint('')).toBe('no output');
});
