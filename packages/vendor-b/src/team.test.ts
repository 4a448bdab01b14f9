import { SENT } from '@ringwire/guest-drivers';
import { expect, test } from 'vitest';
import { PEER, TEAM, TeamStage } from './testing/team-stage.js';
import { frameTo } from './testing/vendor-b-stage.js';

const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, at) => from + at);

test('virtio 1.4 §5.1.3: a stand-by, then a virtual function, unplugged, then another vendor’s: nothing is lost, nothing comes twice', () => {
  const stage = new TeamStage();
  const { team } = stage;
  const standby = stage.standby();
  expect(team.join('standby', standby.driver)).toBeUndefined();
  stage.send(10);
  stage.settle();
  const vf = stage.virtioVf();
  expect(team.join('primary', vf.driver)).toBeUndefined();
  expect(team.activeRole).toBe('primary');
  stage.send(20);
  stage.settle();
  stage.answer(1);
  stage.settle();
  // Out by the function, and in by it: the switches learnt where the station is.
  expect([team.counters.sent, stage.heard]).toEqual([{ standby: 10, primary: 20 }, [{ number: 1, from: 'primary' }]]);
  // Unplugged with frames in flight: what it took leaves before it is closed, and the rest by the stand-by.
  stage.send(15);
  team.leave('primary');
  expect([team.activeRole, vf.driver.sending, stage.left]).toEqual(['standby', 15, []]);
  stage.send(15);
  stage.settle();
  team.watch();
  expect([vf.driver.state, stage.left]).toEqual(['closed', ['primary']]);
  stage.settle();
  stage.unplugVirtioVf(vf);
  expect(vf.pages.inUse).toBe(0);
  stage.answer(2);
  stage.settle();
  expect(stage.heard.at(-1)).toEqual({ number: 2, from: 'standby' });
  const other = stage.vendorBVf();
  expect(team.join('primary', other.driver!)).toBeUndefined();
  stage.send(10);
  stage.settle();
  stage.answer(3);
  stage.settle();
  expect(stage.heard.at(-1)).toEqual({ number: 3, from: 'primary' });
  expect(stage.switched).toEqual(['standby', 'primary', 'standby', 'primary']);
  // All of them, each once; those of the switch-over may pass one another.
  expect(stage.arrived.toSorted((a, b) => a - b)).toEqual(range(70));
  // Once for each switch-over, and once more when the last frames of the one that left were out.
  expect(stage.announced).toBe(5);
  expect(team.counters).toMatchObject({ switches: 4, abandoned: 0, refused: 0 });
  team.close();
  stage.settle();
  expect([standby.pages.inUse, other.pages.inUse]).toEqual([0, 0]);
});

test('a function that is pulled out with frames in flight: what it had taken is counted, and all else arrives once', () => {
  const stage = new TeamStage();
  const { team } = stage;
  team.join('standby', stage.standby().driver);
  team.join('primary', stage.vendorBVf().driver!);
  stage.send(5);
  stage.settle();
  expect(stage.send(12).every((outcome) => outcome === SENT.OK)).toBe(true);
  stage.unplugVendorB();
  team.drop('primary');
  // At most what was in the ring; the announcement of the switch-over before was done long ago.
  expect(team.counters.abandoned).toBeLessThanOrEqual(12);
  expect(team.activeRole).toBe('standby');
  stage.send(5);
  stage.settle();
  const lost = range(22).filter((number) => !stage.arrived.includes(number));
  expect(new Set(stage.arrived).size).toBe(stage.arrived.length);
  expect(lost.length).toBeLessThanOrEqual(team.counters.abandoned);
  expect(lost.every((number) => number >= 5 && number < 17)).toBe(true);
});

test('the primary’s link goes and comes 1,000 times: each frame goes out once, by whoever has a link', () => {
  const stage = new TeamStage();
  const { team } = stage;
  team.join('standby', stage.standby().driver);
  const vf = stage.virtioVf();
  team.join('primary', vf.driver);
  stage.settle();
  for (let flap = 0; flap < 1000; flap++) {
    vf.net.setLink(flap % 2 === 1);
    stage.settle();
    expect(team.activeRole).toBe(flap % 2 === 1 ? 'primary' : 'standby');
    stage.send(1);
    stage.settle();
    stage.answer(flap & 0xff);
    stage.settle();
  }
  expect(stage.arrived).toEqual(range(1000));
  expect(stage.heard.map(({ number }) => number)).toEqual(range(1000).map((flap) => flap & 0xff));
  expect(stage.heard.filter(({ from }) => from === 'primary')).toHaveLength(500);
  expect([team.counters.switches, stage.announced]).toEqual([1002, 1002]);
  expect(team.sending).toBeLessThanOrEqual(64);
});

test('who is not let in: another address, a stand-by as primary, a primary as stand-by, a second one', () => {
  const stage = new TeamStage();
  const { team } = stage;
  const plain = stage.standby(TEAM, false);
  expect(team.join('standby', plain.driver)).toBe('VIRTIO_NET_F_STANDBY is not negotiated (virtio 1.4 §5.1.3)');
  plain.driver.close();
  const standby = stage.standby();
  expect(team.join('primary', standby.driver)).toBe(
    'it is a stand-by: VIRTIO_NET_F_STANDBY is negotiated (virtio 1.4 §5.1.3)',
  );
  expect(team.join('standby', standby.driver)).toBeUndefined();
  expect(team.join('standby', standby.driver)).toBe('there is a standby already');
  const stranger = stage.vendorBVf(PEER.map((byte, at) => (at === 5 ? 9 : byte)));
  expect(team.join('primary', stranger.driver!)).toBe(
    'its address is 02:00:00:00:fa:09, want 02:00:00:00:fa:01 (virtio 1.4 §5.1.3)',
  );
  expect([team.counters.refused, team.activeRole]).toEqual([4, 'standby']);
  // What the stranger gets is no affair of the team's user's, who never asked for it to be in.
  stage.send(3);
  stage.settle();
  expect(stage.arrived).toEqual([0, 1, 2]);
});

test('with both unplugged nothing goes out, and says so; the next one in goes on', () => {
  const stage = new TeamStage();
  const { team } = stage;
  expect([team.state, team.sendBytes(frameTo(PEER, TEAM, 1))]).toEqual(['broken', SENT.DOWN]);
  const standby = stage.standby();
  team.join('standby', standby.driver);
  const vf = stage.virtioVf();
  team.join('primary', vf.driver);
  team.drop('primary');
  team.drop('standby');
  expect([team.state, team.isLinkUp, team.activeRole, team.sending]).toEqual(['broken', false, undefined, 0]);
  expect(team.sendBytes(frameTo(PEER, TEAM, 1))).toBe(SENT.DOWN);
  expect([standby.driver.state, vf.driver.state]).toEqual(['closed', 'closed']);
  stage.unplugVirtioVf(vf);
  team.join('primary', stage.vendorBVf().driver!);
  stage.send(2);
  stage.settle();
  expect(stage.arrived).toEqual([0, 1]);
  team.close();
  expect([team.state, team.join('standby', standby.driver)]).toEqual(['closed', 'the team is closed']);
});
