import type { PciAccess } from '@ringwire/guest-drivers';
import { SAVED_STATE } from '@ringwire/nic-spec/vendor-b';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameTo, macOf, numberIn, regionsOf, VendorBStage } from './testing/vendor-b-stage.js';

test('F65: a native function saved here goes on in another one of vendor B’s: no frame lost, none twice, none of it noticed', () => {
  const stage = new VendorBStage();
  const [a, b, c] = stage.enable(3);
  a!.drive();
  b!.drive();
  for (let number = 0; number < 21; number++) {
    a!.driver!.sendBytes(frameTo(macOf(1), macOf(0), number));
    b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), 500 + number));
    stage.settle();
  }
  // Told to the device, and not looked at yet.
  a!.driver!.sendBytes(frameTo(macOf(1), macOf(0), 21));
  expect(a!.function.saveState()).toBeUndefined();
  a!.function.suspend();
  const state = a!.function.saveState()!;
  // What a host does besides: memory, MSI-X, configuration.
  stage.spaces.get(2)!.remap(regionsOf(2, 0));
  c!.access.configWrite(4, 2, 6);
  for (let vector = 0; vector < 2; vector++)
    for (let word = 0; word < 4; word++) {
      const at = 0x1000 + vector * 16 + word * 4;
      c!.access.barWrite(0, at, 4, a!.access.barRead(0, at, 4));
    }
  c!.access.configWrite(c!.function.pci.capabilityAt(0x11) + 2, 2, 0x8000);
  expect(c!.function.restoreState(state)).toBeUndefined();
  a!.function.pci.reset('function-level');
  c!.function.resume();
  c!.driver = a!.driver;
  a!.driver = undefined;
  redirect(a!.access, c!.access);
  stage.settle();
  for (let number = 22; number < 60; number++) {
    c!.driver!.sendBytes(frameTo(macOf(1), macOf(0), number));
    b!.driver!.sendBytes(frameTo(macOf(0), macOf(1), 500 + number));
    stage.settle();
  }
  expect(b!.heard.map(numberIn)).toEqual(Array.from({ length: 60 }, (_, number) => number));
  expect(a!.heard.length).toBe(59);
  expect(c!.driver!.state).toBe('running');
});

/** The machine puts another function behind the driver's accesses. */
function redirect(from: PciAccess, to: PciAccess): void {
  Object.assign(from, {
    configRead: (at: number, size: number) => to.configRead(at, size),
    configWrite: (at: number, size: number, value: number) => to.configWrite(at, size, value),
    barRead: (bar: number, at: number, size: number) => to.barRead(bar, at, size),
    barWrite: (bar: number, at: number, size: number, value: number) => to.barWrite(bar, at, size, value),
  });
}

test('F65 F68: a state of another vendor, another version, or cut short is refused with the reason, and nothing changes', () => {
  const stage = new VendorBStage();
  const [a] = stage.enable(1);
  a!.drive();
  a!.function.suspend();
  const state = a!.function.saveState()!;
  const refused = (bytes: Uint8Array, why: string): void => {
    expect(a!.function.restoreState(bytes)).toContain(why);
    expect(a!.function.saveState()).toEqual(state);
  };
  refused(new Uint8Array(SAVED_STATE.SIZE), 'the state begins with 0x0, want 0x42444e56 of vendor B');
  refused(new Uint8Array(64), '64 bytes');
  refused(with16(state, 6, 2), 'of version 2, want 1');
  refused(with16(state, SAVED_STATE.rings, 7), 'completion ring 0 cannot be');
  refused(with16(state, SAVED_STATE.rings + 48, 12), 'submission ring 0 cannot be');
});

test('any bytes as a state: refused, or in force, never an exception', () => {
  const stage = new VendorBStage();
  const [a] = stage.enable(1);
  a!.drive();
  a!.function.suspend();
  const state = a!.function.saveState()!;
  fc.assert(
    fc.property(
      fc.array(fc.record({ at: fc.nat(SAVED_STATE.SIZE - 1), value: fc.nat(255) }), { maxLength: 6 }),
      (pokes) => {
        const bytes = state.slice();
        for (const { at, value } of pokes) bytes[at] = value;
        a!.function.restoreState(bytes);
        a!.function.resume();
        stage.nic.step(16);
        a!.function.suspend();
        a!.messages.length = 0;
      },
    ),
    { numRuns: 300 },
  );
});

function with16(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  new DataView(copy.buffer).setUint16(at, value, true);
  return copy;
}
