import { DEVICE_STATUS, featureWords, hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import type { VdpaDevice } from '../vdpa-device.js';
import { VDPA } from '../vdpa-outcome.js';
import { ended, holds, same, withDevice, worked } from './contract-checks.js';
import { ContractDriver, IOVA, RX, SIZE, TX } from './contract-driver.js';
import type { ContractCase, MakeContractMachine } from './contract-machine.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK, DRIVER_OK } = DEVICE_STATUS;

/** Features, status, registers of queues, configuration: what needs no traffic. */
export function controlCases(make: MakeContractMachine): ContractCase[] {
  const on = (title: string, use: (device: VdpaDevice) => void): ContractCase => ({
    title,
    run: () => withDevice(make(), use),
  });
  return [
    on('VERSION_1 and ACCESS_PLATFORM are offered, and accepting what is not offered is refused', (device) => {
      for (const bit of [VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM])
        holds(hasFeature(device.deviceFeatures, bit), `feature ${bit} is offered`);
      const missing = Array.from({ length: 128 }, (_, bit) => bit).find(
        (bit) => !hasFeature(device.deviceFeatures, bit),
      );
      if (missing === undefined) return;
      ended(device.setDriverFeatures(featureWords([missing])), VDPA.INVALID, 'accepting a feature that is not offered');
      same([...device.driverFeatures], [0, 0, 0, 0], 'features that were refused are not set');
    }),
    on('FEATURES_OK does not stick without ACCESS_PLATFORM, and features are final with it', (device) => {
      device.setStatus(ACKNOWLEDGE | DRIVER);
      worked(device.setDriverFeatures(featureWords([VIRTIO_F.VERSION_1])), 'accepting VERSION_1');
      device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
      holds((device.status & FEATURES_OK) === 0, 'FEATURES_OK without ACCESS_PLATFORM does not stick');
      device.reset();
      const all = featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM]);
      device.setStatus(ACKNOWLEDGE | DRIVER);
      worked(device.setDriverFeatures(all), 'accepting both');
      device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
      holds((device.status & FEATURES_OK) !== 0, 'FEATURES_OK sticks');
      ended(device.setDriverFeatures(new Uint32Array(4)), VDPA.BUSY, 'other features behind FEATURES_OK');
      same([...device.driverFeatures], [...all], 'features are those that were accepted');
    }),
    on('the status goes up in its order, and down to 0 by a reset alone', (device) => {
      same(device.status, 0, 'the status of a device that was added');
      device.setStatus(DRIVER_OK);
      holds((device.status & DRIVER_OK) === 0, 'DRIVER_OK is not the first step');
      device.reset();
      device.setStatus(ACKNOWLEDGE);
      same(device.status, ACKNOWLEDGE, 'ACKNOWLEDGE is set');
      for (const bad of [-1, 0x100, 1.5, Number.NaN]) ended(device.setStatus(bad), VDPA.INVALID, `status ${bad}`);
      same(device.status, ACKNOWLEDGE, 'a status that is none changes nothing');
      worked(device.setStatus(0), 'status 0');
      same(device.status, 0, 'the status after a reset');
    }),
    on('sizes that no queue has are refused, and a reset brings the largest back', (device) => {
      const largest = device.queueSize(RX);
      for (const bad of [0, -1, 1.5, Number.NaN, largest + 1, 0x1_0000])
        ended(device.setQueueSize(RX, bad), VDPA.INVALID, `Queue Size ${bad}`);
      same(device.queueSize(RX), largest, 'a refused size changes nothing');
      worked(device.setQueueSize(RX, SIZE), `Queue Size ${SIZE}`);
      same(device.queueSize(RX), SIZE, 'the size that was set');
      device.reset();
      same(device.queueSize(RX), largest, 'the size after a reset');
    }),
    on('addresses that are none are refused', (device) => {
      for (const bad of [-1, 0.5, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY])
        for (const field of ['desc', 'driver', 'device'])
          ended(
            device.setQueueAddresses(RX, { desc: 0, driver: 0, device: 0, [field]: bad }),
            VDPA.INVALID,
            `${field} ${bad}`,
          );
    }),
    on('a ring that nothing is mapped for, or that was never placed, does not start', (device) => {
      const wanted = featureWords([VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM]);
      device.setStatus(ACKNOWLEDGE | DRIVER);
      device.setDriverFeatures(wanted);
      device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
      holds(device.setQueueReady(RX, true) !== VDPA.OK, 'a ring without addresses does not start');
      device.setQueueSize(RX, SIZE);
      device.setQueueAddresses(RX, { desc: IOVA, driver: IOVA + 0x2000, device: IOVA + 0x3000 });
      holds(device.setQueueReady(RX, true) !== VDPA.OK, 'a ring in memory that is not mapped does not start');
      holds(!device.queueReady(RX), 'it is not ready');
      holds(device.problem !== undefined, 'the device says why');
    }),
    {
      title: 'a queue that is ready keeps its registers, and knows no second group or space',
      run: () => {
        const machine = make();
        withDevice(machine, (device) => {
          const driver = new ContractDriver(machine, device);
          driver.map();
          driver.start();
          ended(device.setQueueSize(TX, 16), VDPA.BUSY, 'another size of a ready queue');
          ended(device.setQueueAddresses(TX, { desc: 0, driver: 0, device: 0 }), VDPA.BUSY, 'other addresses of it');
          ended(
            device.setQueueState(TX, { layout: 'split', lastAvailIdx: 0, usedIdx: 0 }),
            VDPA.BUSY,
            'a position of it',
          );
          if (device.spaceCount > 1)
            ended(device.setGroupSpace(device.queueGroup(TX), 1), VDPA.BUSY, 'another space of its group');
        });
      },
    },
    on('groups and spaces that there are not are refused', (device) => {
      for (const bad of [-1, 0.5, Number.NaN, device.groupCount])
        ended(device.setGroupSpace(bad, 0), VDPA.INVALID, `group ${bad}`);
      for (const bad of [-1, 0.5, Number.NaN, device.spaceCount])
        ended(device.setGroupSpace(0, bad), VDPA.INVALID, `address space ${bad}`);
    }),
    on('the configuration reads the same twice under one generation, and ends where it says', (device) => {
      const generation = device.configGeneration();
      const first = [...device.readConfig(0, device.configBytes)];
      const second = [...device.readConfig(0, device.configBytes)];
      if (device.configGeneration() === generation) same(second, first, 'configuration of one generation');
      for (const [at, bytes] of [
        [device.configBytes, 1],
        [-1, 1],
        [0, device.configBytes + 1],
      ] as const)
        ended(device.writeConfig(at, new Uint8Array(bytes)), VDPA.INVALID, `writing ${bytes} bytes at ${at}`);
    }),
    {
      title: 'a change of the configuration has another generation, and is told',
      run: () => {
        const machine = make();
        const { changeConfig } = machine;
        if (changeConfig === undefined) return;
        withDevice(machine, (device) => {
          const driver = new ContractDriver(machine, device);
          driver.map();
          let told = 0;
          driver.start();
          device.setConfigCallback(() => told++);
          device.readConfig(0, device.configBytes);
          const generation = device.configGeneration();
          changeConfig(device);
          driver.settle();
          device.readConfig(0, device.configBytes);
          holds(device.configGeneration() !== generation, 'another generation after a change');
          same(told, 1, 'times that the driver was told');
        });
      },
    },
  ];
}
