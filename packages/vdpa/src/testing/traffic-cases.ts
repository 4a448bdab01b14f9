import { ACCESS } from '@ringwire/guest-memory';
import { hasFeature, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { VDPA } from '../vdpa-outcome.js';
import { holds, same, withDevice, worked } from './contract-checks.js';
import { CONTROL, ContractDriver, IOVA, PART, RX, TX } from './contract-driver.js';
import type { ContractCase, MakeContractMachine } from './contract-machine.js';

/** virtio 1.4 §5.1.9.5.1: class RX, command PROMISC, on; and the answer OK. */
const PROMISC_ON = [0, 0, 1] as const;
const ACK_OK = 0;
const FRAMES = 150;

/** Frames through rings, and what of memory a device reaches. */
export function trafficCases(make: MakeContractMachine, isPacked: boolean): ContractCase[] {
  const ring = isPacked ? 'packed' : 'split';
  const withDriver = (title: string, use: (driver: ContractDriver) => void): ContractCase => ({
    title: `${title} (${ring})`,
    run: () => {
      const machine = make();
      withDevice(machine, (device) => {
        if (isPacked && !hasFeature(device.deviceFeatures, VIRTIO_F.RING_PACKED)) return;
        use(new ContractDriver(machine, device, { isPacked }));
      });
    },
  });
  return [
    withDriver('every frame comes back once and in its order, and the statistics add up', (driver) => {
      const { device } = driver;
      let calls = 0;
      driver.map();
      driver.start();
      device.setQueueCallback(RX, () => calls++);
      sendSome(driver, FRAMES);
      same(driver.heard, driver.all, 'frames that came back');
      holds(calls > 0, 'the driver is told of frames');
      const statistics = (): number[][] =>
        [RX, TX].map((index) => device.queueStatistics(index).map(({ value }) => value));
      const before = statistics();
      const received = device.queueStatistics(TX).find(({ name }) => name === 'received_desc');
      const completed = device.queueStatistics(TX).find(({ name }) => name === 'completed_desc');
      if (received !== undefined) same([received.value, completed?.value], [FRAMES, FRAMES], 'buffers sent and used');
      holds(
        before.flat().every((value) => Number.isSafeInteger(value) && value >= 0),
        'counters are whole numbers',
      );
      device.reset(device.abilities.keepMaps);
      same(statistics(), before, 'counters after a reset');
    }),
    withDriver('a device that was reset does nothing more', (driver) => {
      driver.map();
      driver.start();
      sendSome(driver, 8);
      driver.device.reset(driver.device.abilities.keepMaps);
      const rings = driver.bytesOf('rings');
      driver.device.step(64);
      same(driver.bytesOf('rings') === rings, true, 'rings stay as they are');
    }),
    withDriver('a buffer that is not mapped is given back, and nothing of it is sent', (driver) => {
      driver.map(['rings', 'rx']);
      driver.start();
      driver.send();
      driver.settle();
      same(driver.heard, [], 'frames out of memory that is not mapped');
    }),
    withDriver('a buffer that may only be read is not written', (driver) => {
      driver.map(['rings', 'tx']);
      driver.map(['rx'], ACCESS.READ);
      driver.start();
      const before = driver.bytesOf('rx');
      driver.send();
      driver.device.step(64);
      same(driver.bytesOf('rx') === before, true, 'memory that may only be read stays as it is');
    }),
    withDriver('when an unmap returns, the device does not reach the range any more', (driver) => {
      driver.map();
      driver.start();
      sendSome(driver, 20);
      same(driver.heard.length, 20, 'frames before the unmap');
      worked(driver.device.unmap(0, IOVA + PART.rx.at, PART.rx.bytes), 'unmapping the receive buffers');
      const before = driver.bytesOf('rx');
      driver.send();
      driver.machine.step?.(driver.device, 64);
      driver.device.step(64);
      same(driver.bytesOf('rx') === before, true, 'memory that was unmapped stays as it is');
    }),
    withDriver('a ring that was unmapped is not touched', (driver) => {
      driver.map();
      driver.start();
      sendSome(driver, 20);
      worked(driver.device.unmap(0, IOVA, PART.rings.bytes), 'unmapping the rings');
      driver.send();
      const before = driver.bytesOf('rings');
      for (let turns = 0; turns < 4; turns++) driver.device.step(64);
      same(driver.bytesOf('rings') === before, true, 'a ring that was unmapped stays as it is');
    }),
    withDriver('a reset keeps mappings when it is told to, and takes them away when it is not', (driver) => {
      const { device } = driver;
      driver.map();
      const { length } = device.mappings(0);
      if (device.abilities.keepMaps) {
        worked(device.reset(true), 'a reset that keeps mappings');
        same(device.mappings(0).length, length, 'mappings after it');
        driver.start();
        sendSome(driver, 5);
        same(driver.heard, driver.all, 'frames through mappings that were kept');
      }
      worked(device.reset(), 'a reset');
      same(device.mappings(0), [], 'mappings after a reset');
    }),
    withDriver('mappings that overlap, wrap or are none are refused, and setMap changes all or nothing', (driver) => {
      const { device, machine } = driver;
      driver.map();
      const before = [...device.mappings(0)];
      const good = { iova: IOVA + 0x100_0000, bytes: 0x1000, host: machine.ram, access: 3 };
      same(device.map(0, { ...good, iova: IOVA }), VDPA.EXISTS, 'mapping a range twice');
      for (const bad of [
        { bytes: 0 },
        { bytes: -4096 },
        { iova: -4096 },
        { iova: 2 ** 53 - 4096 },
        { access: 0 },
        { access: 8 },
      ])
        same(device.map(0, { ...good, ...bad }), VDPA.INVALID, `mapping ${JSON.stringify(bad)}`);
      same(device.map(0, { ...good, host: machine.memory.size }), VDPA.NOT_MEMORY, 'mapping what is no memory');
      same(device.setMap(0, [good, good]), VDPA.EXISTS, 'a map with an overlap');
      same(device.mappings(0), before, 'mappings after all that');
      worked(device.setMap(0, [good]), 'a map of one range');
      same(device.mappings(0), [good], 'mappings after it');
    }),
    {
      title: `the control queue in an address space of its own reaches nothing of the data queues’ (${ring})`,
      run: () => {
        const machine = make();
        withDevice(machine, (device) => {
          const canPack = !isPacked || hasFeature(device.deviceFeatures, VIRTIO_F.RING_PACKED);
          const hasControl = hasFeature(device.deviceFeatures, VIRTIO_NET_F.CTRL_RX);
          if (!canPack || !hasControl || device.groupCount < 2 || device.spaceCount < 2) return;
          const driver = new ContractDriver(machine, device, { isPacked, controlSpace: 1 });
          driver.map();
          driver.start();
          holds(device.queueGroup(CONTROL) !== device.queueGroup(RX), 'the control queue has a group of its own');
          same(
            [device.groupSpace(device.queueGroup(RX)), device.groupSpace(device.queueGroup(CONTROL))],
            [0, 1],
            'spaces',
          );
          const data = driver.bytesOf('control');
          same(driver.command(PROMISC_ON), ACK_OK, 'the answer to a command');
          sendSome(driver, 20);
          same(driver.heard, driver.all, 'frames beside it');
          same(
            driver.bytesOf('control') === data,
            true,
            'the same addresses in the data queues’ space stay as they are',
          );
          worked(device.unmap(1, IOVA + PART.control.at, PART.control.bytes), 'unmapping the commands');
          const answer = driver.command(PROMISC_ON);
          holds(answer === undefined || answer === 0xee, 'a command out of reach is not answered in memory');
          sendSome(driver, 20);
          same(driver.heard, driver.all, 'the data queues go on');
        });
      },
    },
  ];
}

/** Send frames a few at a time, until all came back. */
export function sendSome(driver: ContractDriver, frames: number): void {
  for (let sent = 0; sent < frames; sent++) {
    driver.send();
    if (sent % 8 === 7) driver.settle();
  }
  driver.settle();
}
