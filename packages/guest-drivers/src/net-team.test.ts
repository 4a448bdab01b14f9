import { expect, test } from 'vitest';
import type { EthernetDriver } from './ethernet-driver.js';
import { NetTeam, type TeamEvents, type TeamRole } from './net-team.js';
import { SENT } from './net-tx-queue.js';

/** A driver of which every call is noted, and some throw. */
class Member implements EthernetDriver {
  state: EthernetDriver['state'] = 'running';
  readonly mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
  readonly mtu = 1500;
  readonly isLinkUp = true;
  sending = 0;
  readonly needsPoll = false;
  readonly calls: string[] = [];
  readonly isStandby: boolean;
  private readonly throwing: string | undefined;

  constructor(role: TeamRole, throwing?: string) {
    this.isStandby = role === 'standby';
    this.throwing = throwing;
  }

  interrupt(): void {}

  poll(): number {
    this.note('poll');
    return 1;
  }

  watch(): void {
    this.note('watch');
  }

  sendBytes(): number {
    this.note('send');
    return SENT.OK;
  }

  close(): void {
    this.state = 'closed';
    this.note('close');
  }

  private note(call: string): void {
    this.calls.push(call);
    if (call === this.throwing) throw new Error(`no ${call}`);
  }
}

function team(primary: Member, standby: Member, events: Partial<TeamEvents> = {}): { team: NetTeam; left: TeamRole[] } {
  const left: TeamRole[] = [];
  const made = new NetTeam({ frame: () => {}, left: (role) => left.push(role), ...events });
  expect([made.join('primary', primary), made.join('standby', standby)]).toEqual([undefined, undefined]);
  return { team: made, left };
}

test('a member whose close throws leaves nothing open: the other one is closed as well, and then it comes out', () => {
  const [primary, standby] = [new Member('primary', 'close'), new Member('standby')];
  const { team: made, left } = team(primary, standby);
  expect(() => made.close()).toThrow('no close');
  expect([primary.state, standby.state, made.state, made.activeRole]).toEqual([
    'closed',
    'closed',
    'closed',
    undefined,
  ]);
  expect(left).toEqual(['primary', 'standby']);
  // It came out once.
  made.close();
});

test('one that was leaving, or is pulled out, is told to have left although its close throws', () => {
  const [primary, standby] = [new Member('primary', 'close'), new Member('standby')];
  const { team: made, left } = team(primary, standby);
  primary.sending = 1;
  made.leave('primary');
  expect([left, made.activeRole]).toEqual([[], 'standby']);
  primary.sending = 0;
  expect(() => made.watch()).toThrow('no close');
  expect([left, made.activeRole]).toEqual([['primary'], 'standby']);
  const other = new Member('primary', 'close');
  expect(made.join('primary', other)).toBeUndefined();
  expect(() => made.drop('primary')).toThrow('no close');
  expect([left, made.activeRole, made.sendBytes(new Uint8Array(60))]).toEqual([
    ['primary', 'primary'],
    'standby',
    SENT.OK,
  ]);
});

test.each(['poll', 'watch'] as const)('a member whose %s throws does not keep the other one from its own', (call) => {
  const [primary, standby] = [new Member('primary', call), new Member('standby')];
  const { team: made } = team(primary, standby);
  standby.calls.length = 0;
  expect(() => made[call]()).toThrow(`no ${call}`);
  expect(standby.calls).toEqual([call]);
});

test('handlers that throw stop nothing midway: who leaves is closed, and frames go out by the other one', () => {
  const [primary, standby] = [new Member('primary'), new Member('standby')];
  let isArmed = false;
  const fail = (what: string) => (): void => {
    if (isArmed) throw new Error(what);
  };
  const { team: made } = team(primary, standby, {
    switched: fail('switched'),
    left: fail('left'),
    writable: fail('room'),
  });
  isArmed = true;
  expect(() => made.leave('primary')).toThrow('switched');
  expect([primary.state, made.activeRole, made.counters.switches]).toEqual(['closed', 'standby', 2]);
  expect(() => made.close()).toThrow('left');
  expect([standby.state, made.state]).toEqual(['closed', 'closed']);
});

test('a member that throws when switches are to be told is told to once more', () => {
  const [primary, standby] = [new Member('primary'), new Member('standby', 'send')];
  const { team: made } = team(primary, standby);
  expect(() => made.drop('primary')).toThrow('no send');
  expect(() => made.look()).toThrow('no send');
  expect([made.activeRole, standby.calls]).toEqual(['standby', ['send', 'send']]);
});
