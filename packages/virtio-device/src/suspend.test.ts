import { describe, expect, test } from 'vitest';
import { DeviceBench, EVERYWHERE, F, FACES, placeOf, S, SIZE } from './testing/device-bench.js';
import { RecordingModel } from './testing/recording-model.js';

const READY = S.ACK | S.DRIVER | S.FEATURES;
const RUNNING = READY | S.OK;
const SUSPENDED = READY | S.SUSPEND;

describe.each(EVERYWHERE)('a device that is suspended over %s and %s rings', (face, layout) => {
  const started = (): DeviceBench<RecordingModel> => {
    const bench = new DeviceBench(face, new RecordingModel(), { layout, accept: [F.SUSPEND] });
    bench.start([0, 1]);
    bench.probe(0);
    bench.face.takeInterrupts();
    bench.model.takeCalls();
    return bench;
  };

  test('dev.basic.suspend.6,.8,.9,.10: shows SUSPEND and no DRIVER_OK, when its type has used and told what it had taken', () => {
    const bench = started();
    const seen: number[] = [];
    // A type that held a used buffer notification back.
    bench.model.suspend = () => bench.model.port!.notifyUsed(0);
    bench.face.onInterrupt = () => {
      seen.push(bench.face.status());
    };
    bench.offer(0);
    bench.face.kick(0);
    bench.face.setStatus(RUNNING | S.SUSPEND);
    expect(bench.face.status()).toBe(SUSPENDED);
    expect(seen).toEqual([RUNNING]);
    expect(bench.face.takeInterrupts()).toEqual({ used: true, config: false });
    // What was not taken stays where it is.
    expect(bench.collect(0)).toEqual([]);
    expect(bench.device.step(SIZE)).toBe(0);
    expect(bench.collect(0)).toEqual([]);
  });

  test('dev.basic.suspend.3: NG-21: uses no buffer and tells nothing, however often it is notified, until it resumes', () => {
    const bench = started();
    bench.face.setStatus(RUNNING | S.SUSPEND);
    expect(bench.model.takeCalls()).toEqual(['suspend']);
    bench.offer(0);
    const since = bench.guest.snapshot();
    for (let round = 0; round < 3; round++) {
      bench.face.kick(0);
      expect(bench.device.step(SIZE)).toBe(0);
    }
    bench.model.port!.notifyUsed(0);
    bench.device.step(SIZE);
    expect(bench.model.port!.enter()).toBe(false);
    expect(bench.strayChanges(since)).toEqual([]);
    expect(bench.face.takeInterrupts()).toEqual({ used: false, config: false });
    expect(bench.model.takeCalls()).toEqual([]);
    bench.face.setStatus(RUNNING);
    expect(bench.face.status()).toBe(RUNNING);
    expect(bench.model.takeCalls()).toEqual(['notified 0', 'notified 1']);
    expect(bench.device.step(SIZE)).toBe(1);
    expect(bench.collect(0)).toEqual([16]);
    bench.probe(1);
  });

  test('dev.basic.suspend.7: resumes when DRIVER_OK is written, whether SUSPEND is written along with it or not', () => {
    const bench = started();
    for (const value of [RUNNING, RUNNING | S.SUSPEND]) {
      bench.face.setStatus(RUNNING | S.SUSPEND);
      expect(bench.face.status()).toBe(SUSPENDED);
      bench.face.setStatus(value);
      expect(bench.face.status()).toBe(RUNNING);
      bench.probe(0);
    }
  });

  test('dev.basic.suspend.6: that finds a ring broken needs a reset instead', () => {
    const bench = started();
    bench.breakRing(0);
    bench.model.suspend = () => {
      bench.model.step(SIZE);
    };
    bench.face.setStatus(RUNNING | S.SUSPEND);
    expect(bench.face.status()).toBe(RUNNING | S.NEEDS_RESET);
    expect(bench.face.takeInterrupts().config).toBe(true);
  });

  test('asked for within a step, is suspended when the step ends', () => {
    const bench = started();
    bench.offer(0);
    bench.face.kick(0);
    bench.model.duringStep = () => {
      bench.model.duringStep = undefined;
      bench.face.setStatus(RUNNING | S.SUSPEND);
      expect(bench.face.status()).toBe(RUNNING);
    };
    expect(bench.device.step(SIZE)).toBe(1);
    expect(bench.face.status()).toBe(SUSPENDED);
    expect(bench.face.takeInterrupts().used).toBe(true);
    expect(bench.collect(0)).toEqual([16]);
  });

  test('can be reset', () => {
    const bench = started();
    bench.face.setStatus(RUNNING | S.SUSPEND);
    bench.face.setStatus(0);
    expect(bench.face.status()).toBe(0);
    expect(bench.model.takeCalls()).toEqual(['suspend', 'stop']);
    bench.start();
    bench.probe(0);
  });
});

describe.each(FACES)('SUSPEND over %s', (face) => {
  const bench = (accept: number[] = [F.SUSPEND]): DeviceBench<RecordingModel> =>
    new DeviceBench(face, new RecordingModel(), { accept });

  test('dev.basic.suspend.1: NG-20: is ignored until the device runs, and when it was not negotiated', () => {
    const able = bench();
    able.negotiate();
    able.face.setStatus(READY | S.SUSPEND);
    expect(able.face.status()).toBe(READY);
    able.face.setStatus(RUNNING | S.SUSPEND);
    expect(able.face.status()).toBe(RUNNING);
    const unable = bench([]);
    unable.start();
    unable.face.setStatus(RUNNING | S.SUSPEND);
    expect(unable.face.status()).toBe(RUNNING);
    unable.probe(0);
  });

  test('NG-20: written twice changes nothing', () => {
    const able = bench();
    able.start();
    able.face.setStatus(RUNNING | S.SUSPEND);
    able.face.setStatus(SUSPENDED);
    able.face.setStatus(S.SUSPEND);
    expect(able.face.status()).toBe(SUSPENDED);
    expect(able.model.calls.filter((call) => call === 'suspend')).toEqual(['suspend']);
  });

  test('dev.basic.suspend.2: a suspended device takes no write but that of its status', () => {
    const able = bench();
    able.start([0]);
    able.face.setStatus(RUNNING | S.SUSPEND);
    able.model.takeCalls();
    able.face.writeConfig(0, 1, 0x77);
    able.face.place(1, placeOf(1));
    able.face.enable(1);
    able.face.resetQueue(0);
    expect([able.face.enabled(0), able.face.enabled(1)]).toEqual([1, 0]);
    expect(able.model.takeCalls()).toEqual([]);
    expect(able.device.queues[1]!.size).toBe(16);
    able.face.setStatus(RUNNING);
    able.probe(0);
  });

  test('dev.basic.suspend.3,.4,.5: a change of the configuration is neither shown nor told until it resumes', () => {
    const able = bench();
    able.start();
    able.face.setStatus(RUNNING | S.SUSPEND);
    const before = able.face.generation();
    able.model.config[0] = 0x99;
    able.model.port!.configChanged();
    able.device.step(SIZE);
    expect(able.face.config(0, 1)).toBe(1);
    expect(able.face.generation()).toBe(before);
    expect(able.face.takeInterrupts()).toEqual({ used: false, config: false });
    able.face.setStatus(RUNNING);
    expect(able.face.takeInterrupts()).toEqual({ used: false, config: true });
    expect(able.face.config(0, 1)).toBe(0x99);
    expect(able.face.generation()).not.toBe(before);
  });

  test('a device whose configuration did not change meanwhile tells nothing when it resumes', () => {
    const able = bench();
    able.start();
    able.face.setStatus(RUNNING | S.SUSPEND);
    able.face.setStatus(RUNNING);
    able.device.step(SIZE);
    expect(able.face.takeInterrupts()).toEqual({ used: false, config: false });
  });

  test('FAILED may be set, and resuming is over then', () => {
    const able = bench();
    able.start();
    able.face.setStatus(RUNNING | S.SUSPEND);
    able.face.setStatus(SUSPENDED | S.FAILED);
    able.face.setStatus(RUNNING | S.FAILED);
    expect(able.face.status()).toBe(SUSPENDED | S.FAILED);
    able.start();
    able.probe(0);
  });

  test('dev.basic.suspend.7: a device that broke while it was suspended says NEEDS_RESET', () => {
    const able = bench();
    able.start();
    able.face.setStatus(RUNNING | S.SUSPEND);
    able.model.port!.needsReset('its cable burnt');
    able.face.setStatus(RUNNING);
    expect(able.face.status()).toBe(SUSPENDED | S.NEEDS_RESET);
    expect(able.device.resetReason).toBe('its cable burnt');
  });
});
