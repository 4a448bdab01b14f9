import { frameBytes } from '@ringwire/net-backend';
import { expect, test } from 'vitest';
import { dropName } from './drop-reason.js';
import { CardStage, ethernet, station, vf } from './testing/card-stage.js';

test('each drop is told of where it is counted, with its reason and the frame as the switch has it', () => {
  const stage = new CardStage(2);
  const told: [number, string, Uint8Array][] = [];
  stage.card.watchDrops({ dropped: (port, reason, frame) => told.push([port, dropName(reason), frameBytes(frame)]) });
  const spoofed = ethernet(station(3), station(9));
  stage.send(vf(0), spoofed);
  stage.send(vf(0), spoofed.subarray(0, 10));
  const fine = ethernet(station(3), station(2));
  stage.devices[vf(1)]!.answers.push(1, 2);
  stage.send(vf(0), fine);
  stage.send(vf(0), fine);
  stage.card.virtual[1]!.configure({ link: 'disable' });
  stage.send(vf(0), fine);
  stage.card.virtual[1]!.backend.attach(undefined);
  stage.send(vf(0), fine);
  expect(told).toEqual([
    [vf(0), 'MAC_SPOOF', spoofed],
    [vf(0), 'LENGTH', spoofed.subarray(0, 10)],
    [vf(1), 'NO_ROOM', fine],
    [vf(1), 'REFUSED', fine],
    [vf(1), 'RECEIVER_DOWN', fine],
    [vf(1), 'NO_DEVICE', fine],
  ]);
  const drops = stage.card.ports.reduce(
    (sum, { counters }) => sum + counters.drops.reduce((all, one) => all + one, 0),
    0,
  );
  expect(drops).toBe(told.length);
  stage.card.watchDrops(undefined);
  stage.send(vf(0), spoofed);
  expect(told).toHaveLength(6);
});
