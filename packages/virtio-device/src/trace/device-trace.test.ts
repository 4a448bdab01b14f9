import { describe, expect, test } from 'vitest';
import { DeviceBench, EVERYWHERE, FACES, S, SIZE } from '../testing/device-bench.js';
import type { PciFace } from '../testing/pci-face.js';
import { RecordingModel } from '../testing/recording-model.js';
import { RecordingTrace } from '../testing/recording-trace.js';

const one = (): RecordingModel => new RecordingModel({ queueSizes: [16] });

describe.each(EVERYWHERE)('a traced device over %s with %s rings:', (face, layout) => {
  test('one buffer, from its notification to the interrupt', () => {
    const trace = new RecordingTrace();
    const bench = new DeviceBench(face, one(), { layout, trace });
    bench.start();
    trace.take();
    bench.offer(0);
    bench.offer(0);
    bench.face.kick(0);
    bench.device.step(SIZE);
    const notify =
      face === 'mmio'
        ? ['write QueueNotify 4 0x0']
        : ['write queue_select 2 0x0', 'read queue_notify_off 2 0x0', 'write notify+0 2 0x0'];
    const interrupt = face === 'mmio' ? 'line up' : 'message 1';
    expect(trace.take()).toEqual([
      ...notify,
      ...['kick 0 served', 'taken 0 2', 'put 0 1', 'put 0 1', 'published 0 owed', 'notified 0', interrupt],
    ]);
    expect(bench.collect(0)).toEqual([16, 16]);
  });

  test('what it does is what it does untraced', () => {
    const plain = new DeviceBench(face, one(), { layout });
    const traced = new DeviceBench(face, one(), { layout, trace: new RecordingTrace() });
    for (const bench of [plain, traced]) {
      bench.start();
      bench.probe(0);
      bench.breakRing(0);
      bench.device.step(SIZE);
    }
    expect(traced.guest.snapshot()).toEqual(plain.guest.snapshot());
    expect(traced.device.counters).toEqual(plain.device.counters);
    expect(traced.device.resetReason).toBe(plain.device.resetReason);
  });

  test('a ring that cannot be trusted ends with the reason', () => {
    const trace = new RecordingTrace();
    const bench = new DeviceBench(face, one(), { layout, trace });
    bench.start();
    bench.breakRing(0);
    trace.take();
    bench.device.step(SIZE);
    const fault = layout === 'split' ? 'AVAIL_INDEX' : 'ENDLESS_CHAIN';
    const interrupt = face === 'mmio' ? 'line up' : 'message 0';
    expect(trace.take()).toEqual([
      `DEVICE_NEEDS_RESET: queue 0 cannot be trusted: ${fault}`,
      'notified config',
      interrupt,
    ]);
  });
});

describe.each(FACES)('the control plane over %s:', (face) => {
  test('status, features, queues and reset in their order', () => {
    const trace = new RecordingTrace();
    const bench = new DeviceBench(face, one(), { accept: [40, 43], trace });
    trace.take();
    bench.negotiate([3, 32]);
    bench.start();
    bench.face.enable(0, 1);
    bench.face.resetQueue(0);
    bench.face.setStatus(S.ACK | S.DRIVER | S.FEATURES | S.OK | S.SUSPEND);
    bench.face.setStatus(S.ACK | S.DRIVER | S.FEATURES | S.OK);
    bench.face.kick(0);
    bench.face.setStatus(S.FAILED);
    const isRegister = (event: string): boolean => /^(read|write) /.test(event);
    const events = trace.take();
    expect(events.filter((event) => !isRegister(event))).toEqual([
      ...['device reset', 'ACKNOWLEDGE set', 'DRIVER set'],
      'FEATURES_OK refused: feature bit 3 was accepted and not offered',
      ...['device reset', 'ACKNOWLEDGE set', 'DRIVER set', 'FEATURES_OK set', 'queue 0 enabled', 'DRIVER_OK set'],
      ...['queue 0 reset', 'suspended', 'resumed', 'kick 0 ignored', 'FAILED set'],
    ]);
    expect(events).toContain(face === 'mmio' ? 'write Status 4 0xf' : 'write device_status 1 0xf');
  });

  test('configuration and registers that there are not have names too', () => {
    const trace = new RecordingTrace();
    const bench = new DeviceBench(face, one(), { trace });
    trace.take();
    bench.face.config(4, 2);
    bench.face.writeConfig(1, 1, 7);
    expect(trace.take()).toEqual(['read config+4 2 0x605', 'write config+1 1 0x7']);
  });
});

test('over PCI: halves of a 64-bit field, bus mastering, and the pin', () => {
  const trace = new RecordingTrace();
  const bench = new DeviceBench('pci', one(), { trace, pci: { msix: false } });
  const face = bench.face as PciFace;
  bench.start();
  face.writeCommon(0x24, 4, 1);
  face.virtio.pci.configWrite(4, 2, 2);
  face.virtio.pci.configWrite(4, 2, 6);
  bench.probe(0);
  trace.events.splice(0, trace.events.indexOf('write queue_desc+4 4 0x1') + 1);
  expect(trace.events.slice(0, 2)).toEqual(['no DMA allowed', 'DMA allowed']);
  expect(trace.take()).toContain('line up');
  face.readIsr();
  expect(trace.take()).toEqual(['line down', 'read ISR status 1 0x1']);
});
