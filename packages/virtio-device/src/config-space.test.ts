import { describe, expect, test } from 'vitest';
import { ConfigSpace } from './config-space.js';
import { DeviceBench, FACES, SIZE } from './testing/device-bench.js';
import { RecordingModel } from './testing/recording-model.js';

describe.each(FACES)('the configuration over %s', (face) => {
  test('dev.basic.config-space.1: is read at any width before FEATURES_OK, and before anything else', () => {
    const { face: registers } = new DeviceBench(face, new RecordingModel());
    expect(registers.status()).toBe(0);
    expect([registers.config(0, 1), registers.config(7, 1)]).toEqual([1, 8]);
    expect([registers.config(2, 2), registers.config(4, 4)]).toEqual([0x0403, 0x0807_0605]);
  });

  test('PC-24: reads zeros past its end', () => {
    const model = new RecordingModel({ config: Uint8Array.of(1, 2, 3, 4, 5, 6) });
    const { face: registers } = new DeviceBench(face, model);
    expect([registers.config(4, 4), registers.config(6, 2)]).toEqual([0x0605, 0]);
  });

  test('dev.mmio.registers.6: dev.pci.common-cfg.6: PC-24: whoever reads two halves with a change between finds another generation', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    bench.start();
    // 300 times: the eight bits that PCI shows wrap.
    for (let round = 0; round < 300; round++) {
      const before = bench.face.generation();
      const low = bench.face.config(0, 4);
      bench.model.config.fill(round);
      bench.model.port!.configChanged();
      expect(bench.face.config(4, 4) & 0xff).toBe(round & 0xff);
      expect(bench.face.generation()).not.toBe(before);
      expect(low).not.toBe(bench.face.config(0, 4));
    }
    // Nothing changed: the same one.
    const settled = bench.face.generation();
    bench.face.config(0, 4);
    expect(bench.face.generation()).toBe(settled);
  });

  test('a change is told by an interrupt once the driver is ready, many before a step by one', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    bench.start();
    bench.model.port!.configChanged();
    bench.model.port!.configChanged();
    bench.device.step(SIZE);
    expect(bench.face.takeInterrupts()).toEqual({ used: false, config: true });
    bench.device.step(SIZE);
    expect(bench.face.takeInterrupts()).toEqual({ used: false, config: false });
    expect(bench.device.counters.configNotifications).toBe(1);
  });

  test('NG-22: what the driver writes reaches the type, which decides; past the end it does not', () => {
    const bench = new DeviceBench(face, new RecordingModel());
    bench.start();
    bench.model.takeCalls();
    bench.face.writeConfig(0, 1, 0xff);
    bench.face.writeConfig(2, 2, 0x0201);
    bench.face.writeConfig(4, 4, 0xffff_ffff);
    expect(bench.model.takeCalls()).toEqual(['config 0 1 255', 'config 2 2 513', 'config 4 4 4294967295']);
    expect([...bench.model.config]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    bench.face.writeConfig(8, 1, 0);
    bench.face.writeConfig(0x10_0000, 4, 0);
    expect(bench.model.takeCalls()).toEqual([]);
  });
});

test('a frozen configuration shows what there was, and tells of a change when it thaws', () => {
  const live = Uint8Array.of(1);
  const config = new ConfigSpace(live);
  expect(config.thaw()).toBe(false);
  config.freeze();
  expect(config.thaw()).toBe(false);
  config.freeze();
  live[0] = 2;
  expect(config.markChanged()).toBe(false);
  expect([config.read(0, 1), config.generation]).toEqual([1, 0]);
  expect(config.thaw()).toBe(true);
  expect([config.read(0, 1), config.generation]).toEqual([2, 1]);
});
