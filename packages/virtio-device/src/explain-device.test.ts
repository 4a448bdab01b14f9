import { describe, expect, test } from 'vitest';
import { explainDevice } from './explain-device.js';
import { DeviceBench, EVERYWHERE, F, FACES, placeOf, S, SIZE } from './testing/device-bench.js';
import type { PciFace } from './testing/pci-face.js';
import { RecordingModel } from './testing/recording-model.js';

const RUNNING = S.ACK | S.DRIVER | S.FEATURES | S.OK;
const one = (): RecordingModel => new RecordingModel({ queueSizes: [16] });

describe.each(FACES)('why nothing moves over %s:', (face) => {
  test('nobody has started the device', () => {
    const { device } = new DeviceBench(face, one(), { pci: { msix: false } });
    expect(explainDevice(device)).toEqual([
      'DRIVER_OK is not set: the status is 0x0 (none).',
      'Queue 0: it is not enabled.',
    ]);
  });

  test('features were refused, and a status bit came too early', () => {
    const bench = new DeviceBench(face, one());
    bench.negotiate([3, 32]);
    bench.face.setStatus(RUNNING & ~S.FEATURES);
    expect(explainDevice(bench.device)).toEqual([
      'FEATURES_OK was refused: feature bit 3 was accepted and not offered.',
      'A status bit was ignored: DRIVER_OK was written before FEATURES_OK (virtio 1.4 §3.1.1).',
      'DRIVER_OK is not set: the status is 0x3 (ACKNOWLEDGE | DRIVER).',
      'Queue 0: it is not enabled.',
    ]);
  });

  test('a queue lies where there is no memory', () => {
    const bench = new DeviceBench(face, one());
    bench.negotiate();
    bench.face.place(0, { ...placeOf(0), desc: 0x50_0000 });
    bench.face.enable(0);
    bench.face.setStatus(RUNNING);
    expect(explainDevice(bench.device)).toEqual([
      'Queue 0: enabling it was refused: desc is 5242880, want 128 bytes of contiguous memory within reach (virtio 1.4 §2.7).',
    ]);
  });

  test('the driver gave up, suspended the device, or broke its ring', () => {
    const bench = new DeviceBench(face, one(), { accept: [F.SUSPEND] });
    bench.start();
    bench.face.setStatus(RUNNING | S.SUSPEND);
    expect(explainDevice(bench.device)).toEqual([
      'The driver suspended the device: it has to write DRIVER_OK to go on.',
    ]);
    bench.face.setStatus(RUNNING);
    bench.breakRing(0);
    bench.device.step(SIZE);
    expect(explainDevice(bench.device)[0]).toBe('The device needs a reset: queue 0 cannot be trusted: AVAIL_INDEX.');
    bench.face.setStatus(RUNNING | S.FAILED);
    expect(explainDevice(bench.device)[1]).toBe('The driver has given up: it set FAILED.');
  });
});

describe.each(EVERYWHERE)('what the ring says over %s and %s rings:', (face, layout) => {
  test('nothing was published, or the device has not looked', () => {
    const bench = new DeviceBench(face, one(), { layout });
    bench.start();
    bench.probe(0);
    bench.face.takeInterrupts();
    expect(explainDevice(bench.device)[0]).toBe(
      layout === 'split'
        ? 'Queue 0: The driver has published nothing since 1: avail.idx is 1 and the device has consumed everything.'
        : 'Queue 0: The driver has published nothing since slot 1, wrap counter 1: the device has consumed everything.',
    );
    bench.offer(0);
    const since = bench.guest.snapshot();
    expect(explainDevice(bench.device).join('\n')).toContain('Queue 0: 1 element is pending');
    expect(bench.strayChanges(since)).toEqual([]);
    bench.device.step(SIZE);
    expect(bench.collect(0)).toEqual([16]);
  });
});

test('bus mastering is off, a queue has no vector, an interrupt waits', () => {
  const bench = new DeviceBench('pci', one());
  const face = bench.face as PciFace;
  bench.start();
  face.virtio.pci.configWrite(4, 2, 2);
  expect(explainDevice(bench.device)).toEqual(['The function may do no DMA: bus mastering is off.']);
  face.virtio.pci.configWrite(4, 2, 6);
  face.writeCommon(0x16, 2, 0);
  face.writeCommon(0x1a, 2, 0xffff);
  expect(explainDevice(bench.device)).toContain('Queue 0 has no MSI-X vector: nothing interrupts for it.');
  face.writeCommon(0x1a, 2, 1);
  const msix = face.virtio.pci.capabilityAt(0x11);
  face.virtio.pci.configWrite(msix + 2, 2, 0xc000);
  bench.probe(0);
  expect(explainDevice(bench.device)).toContain('MSI-X vector 1 of queue 0 is pending: the function is masked.');
});

test('an interrupt was not acknowledged, or the pin is disabled', () => {
  const mmio = new DeviceBench('mmio', one());
  mmio.start();
  mmio.probe(0);
  expect(explainDevice(mmio.device)).toContain(
    'InterruptStatus is 1 and was not acknowledged: the line is still asserted.',
  );
  const pci = new DeviceBench('pci', one(), { pci: { msix: false } });
  const face = pci.face as PciFace;
  pci.start();
  pci.probe(0);
  expect(explainDevice(pci.device)).toContain('ISR status is 1 and was not read: the pin is still asserted.');
  face.virtio.pci.configWrite(4, 2, 0x406);
  expect(explainDevice(pci.device)).toContain('MSI-X is off, and the Command register disables the interrupt pin.');
});
