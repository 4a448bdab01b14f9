import { expect, test } from 'vitest';
import { countersText, eventText, stateEvent } from './serve-events.js';

/** Feature words with these bits. */
function words(...bits: number[]): Uint32Array {
  const features = new Uint32Array(4);
  for (const bit of bits) features[bit >>> 5]! |= 1 << (bit & 31);
  return features;
}

test('a port that runs says its rings and features; one that stops is not one that connects', () => {
  expect(stateEvent('a', 'running', 'connected', words(5, 32))).toEqual({
    event: 'running',
    socket: 'a',
    rings: 'split',
    features: ['VIRTIO_NET_F_MAC', 'VIRTIO_F_VERSION_1'],
  });
  expect(stateEvent('a', 'running', 'connected', words(32, 34))).toMatchObject({ rings: 'packed' });
  expect(stateEvent('a', 'connected', 'listening', words())).toEqual({ event: 'connected', socket: 'a' });
  expect(stateEvent('a', 'connected', 'running', words())).toEqual({ event: 'stopped', socket: 'a' });
});

test('a VDUSE device is told of by its name, with what to do', () => {
  const socket = 'vduse:net0';
  const listening = { event: 'listening', socket, mac: '02:00:00:00:00:01' } as const;
  expect(eventText({ ...listening, plugged: false })).toBe(
    'vduse:net0: plug it in by "vdpa dev add name net0 mgmtdev vduse"',
  );
  expect([eventText({ ...listening, plugged: true }), eventText({ ...listening, socket: '/a' })]).toEqual([
    undefined,
    undefined,
  ]);
  expect(eventText({ event: 'connected', socket })).toBe('vduse:net0: a driver is there');
  expect(eventText({ event: 'problem', socket, reason: 'needs a reset' })).toBe('vduse:net0: needs a reset');
  expect(eventText({ event: 'left', socket })).toBe(
    'vduse:net0: stays on the vDPA bus; serve it again, or "vdpa dev del net0"',
  );
});

test('an uplink that does not carry what devices send is told of', () => {
  const uplink = { event: 'uplink', uplink: 'vxlan:192.0.2.1,7', mtu: 1450 } as const;
  expect(eventText({ ...uplink, fits: true })).toBeUndefined();
  expect(eventText({ ...uplink, fits: false })).toBe(
    'vxlan:192.0.2.1,7 carries packets of 1450 bytes: want --mtu 1450',
  );
});

test('what an uplink dropped is told by reason', () => {
  const counters = { sent: 3, sentBytes: 0, received: 4, receivedBytes: 0, drops: { cut: 0, tagged: 2, stranger: 1 } };
  expect(countersText([], [{ uplink: 'vxlan:192.0.2.1,7', ...counters }])).toBe(
    [
      'forwarded  flooded  filtered  lost  frames from',
      '',
      'sent  received  dropped               uplink',
      '3     4         2 tagged, 1 stranger  vxlan:192.0.2.1,7',
      '',
    ].join('\n'),
  );
});
