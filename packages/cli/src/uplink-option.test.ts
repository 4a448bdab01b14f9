import { expect, test } from 'vitest';
import { uplink } from './uplink-option.js';

test('every kind of uplink', () => {
  expect(uplink('none')).toBeUndefined();
  expect(uplink('tap:tap0')).toEqual({ kind: 'tap', name: 'tap0' });
  expect(uplink('tap:tap%d,queues=4')).toEqual({ kind: 'tap', name: 'tap%d', queues: 4 });
  expect(uplink('pcap:/tmp/a,b.pcap')).toEqual({ kind: 'pcap', write: '/tmp/a,b.pcap', play: undefined });
  expect(uplink('pcap:out,play=in')).toEqual({ kind: 'pcap', write: 'out', play: 'in' });
  expect(uplink('pcap:play=in')).toEqual({ kind: 'pcap', write: undefined, play: 'in' });
  const tunnel = { kind: 'vxlan', vni: 7, local: {}, tagged: false };
  expect(uplink('vxlan:192.0.2.1,7')).toEqual({ ...tunnel, remote: { address: '192.0.2.1', port: undefined } });
  expect(uplink('vxlan:2001:db8::1,7')).toEqual({ ...tunnel, remote: { address: '2001:db8::1', port: undefined } });
  expect(uplink('vxlan:[2001:db8::1]:4790,16777215,tagged,local=[::1]:1')).toEqual({
    kind: 'vxlan',
    vni: 0xff_ffff,
    remote: { address: '2001:db8::1', port: 4790 },
    local: { address: '::1', port: 1 },
    tagged: true,
  });
  expect(uplink('vxlan:192.0.2.1:4790,0,local=192.0.2.2')).toMatchObject({
    remote: { address: '192.0.2.1', port: 4790 },
    local: { address: '192.0.2.2', port: undefined },
  });
});

test.each([
  ['tap', 'Want tap:NAME'],
  ['tap:', 'Want tap:NAME'],
  ['tap:,queues=2', 'Want tap:NAME'],
  ['file:x', 'Want tap:NAME'],
  ['tap:a,queues=0', 'Want 1 to 256 queues, as in tap:a,queues=2.'],
  ['tap:a,queues=257', 'Want 1 to 256 queues'],
  ['tap:a,queue=2', 'Want 1 to 256 queues'],
  ['tap:a,queues=2,queues=3', 'Want 1 to 256 queues'],
  ['vxlan:192.0.2.1', 'Want a VNI from 0 to 16777215'],
  ['vxlan:192.0.2.1,16777216', 'Want a VNI'],
  ['vxlan:192.0.2.1,-1', 'Want a VNI'],
  ['vxlan:example,7', 'not example'],
  ['vxlan:224.0.0.1,7', 'Want the address of a machine'],
  ['vxlan:ff02::1,7', 'Want the address of a machine'],
  ['vxlan:192.0.2.1:70000,7', 'not 70000'],
  ['vxlan:192.0.2.1,7,fast', 'No setting of a tunnel is called fast'],
])('%s is refused with what is wanted', (text, wanted) => {
  expect(() => uplink(text)).toThrow(wanted);
});
