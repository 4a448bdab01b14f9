import { DEVICE_STATUS, featureWords, VIRTIO_F } from '@ringwire/virtio-spec';
import { VIRTIO_NET_F } from '@ringwire/virtio-spec/net';
import { expect, test } from 'vitest';
import { simParent } from './sim-parent.js';
import { VdpaStage } from './testing/vdpa-stage.js';
import { VdpaBus } from './vdpa-bus.js';
import { vdpaJson } from './vdpa-json.js';
import { VDPA } from './vdpa-outcome.js';
import type { VdpaRefusal } from './vdpa-parent.js';
import { isVdpaRefusal } from './vdpa-parent.js';
import { devConfigShow, devShow, devVstatsShow, mgmtdevShow, type ShownSection } from './vdpa-show.js';

const { ACKNOWLEDGE, DRIVER, FEATURES_OK } = DEVICE_STATUS;

function json(shown: ShownSection | VdpaRefusal, pretty = true): string {
  if (isVdpaRefusal(shown)) throw new Error(shown.message);
  return vdpaJson(shown, pretty);
}

function busOf(): VdpaBus {
  const bus = new VdpaBus();
  const features = [VIRTIO_NET_F.MTU, VIRTIO_NET_F.MAC, VIRTIO_NET_F.STATUS, VIRTIO_NET_F.CTRL_VQ, VIRTIO_NET_F.MQ];
  const host = new VdpaStage().host;
  bus.addParent(simParent(host, { vendorId: 0x15b3, pairs: 2, device: { features } }));
  return bus;
}

// Written by hand, by the rules of iproute2's writer of JSON.
test('vdpa -jp mgmtdev show', () => {
  expect(json(mgmtdevShow(busOf()))).toBe(`{
    "mgmtdev": {
        "vdpasim_net": {
            "supported_classes": [ "net" ],
            "max_supported_vqs": 5,
            "dev_features": [ "MTU","MAC","STATUS","CTRL_VQ","MQ","RING_INDIRECT_DESC","RING_EVENT_IDX","VERSION_1","ACCESS_PLATFORM","RING_PACKED","IN_ORDER","ORDER_PLATFORM","NOTIFICATION_DATA",40 ]
        }
    }
}`);
});

test('vdpa -j mgmtdev show: bits have the network’s names where the network is among the classes', () => {
  const shown = (classes: readonly number[]): string => {
    const bus = new VdpaBus();
    const sim = simParent(new VdpaStage().host);
    const features = featureWords([5, 15, VIRTIO_F.VERSION_1, 40]);
    bus.addParent({ name: 'x', classes, maxQueues: 1, features, add: sim.add.bind(sim), remove: () => {} });
    return json(mgmtdevShow(bus), false);
  };
  expect(shown([2])).toBe(
    '{"mgmtdev":{"x":{"supported_classes":["block"],"max_supported_vqs":1,"dev_features":[5,15,"VERSION_1",40]}}}',
  );
  expect(shown([2, 1])).toBe(
    '{"mgmtdev":{"x":{"supported_classes":["net","block"],"max_supported_vqs":1,"dev_features":["MAC","MRG_RXBUF","VERSION_1",40]}}}',
  );
});

test('vdpa -jp dev show, and -j without p', () => {
  const bus = busOf();
  bus.add('vdpa0', 'vdpasim_net');
  expect(json(devShow(bus))).toBe(`{
    "dev": {
        "vdpa0": {
            "type": "network",
            "mgmtdev": "vdpasim_net",
            "vendor_id": 5555,
            "max_vqs": 5,
            "max_vq_size": 256
        }
    }
}`);
  expect(json(devShow(bus), false)).toBe(
    '{"dev":{"vdpa0":{"type":"network","mgmtdev":"vdpasim_net","vendor_id":5555,"max_vqs":5,"max_vq_size":256}}}',
  );
});

test('vdpa -jp dev config show: what is offered, and once it is negotiated the features', () => {
  const bus = busOf();
  bus.add('vdpa0', 'vdpasim_net', { mac: Uint8Array.of(0, 0x11, 0x22, 0x33, 0x44, 0x55), mtu: 9000 });
  const before = `{
    "config": {
        "vdpa0": {
            "mac": "00:11:22:33:44:55",
            "link ": "up",
            "link_announce ": false,
            "max_vq_pairs": 2,
            "mtu": 9000`;
  expect(json(devConfigShow(bus, 'vdpa0'))).toBe(`${before}
        }
    }
}`);
  const { device } = bus.find('vdpa0')!;
  device.setStatus(ACKNOWLEDGE | DRIVER);
  device.setDriverFeatures(featureWords([VIRTIO_NET_F.MAC, VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM]));
  device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
  expect(json(devConfigShow(bus))).toBe(`${before},
            "negotiated_features": [ "MAC","VERSION_1","ACCESS_PLATFORM" ]
        }
    }
}`);
});

test('vdpa -jp dev vstats show: a queue’s type depends on what was negotiated', () => {
  const bus = busOf();
  bus.add('vdpa0', 'vdpasim_net');
  expect(devVstatsShow(bus, 'vdpa0', 0)).toEqual({ outcome: VDPA.BUSY, message: 'feature negotiation not complete' });
  const { device } = bus.find('vdpa0')!;
  const types = (bits: readonly number[]): unknown[] => {
    device.reset();
    device.setStatus(ACKNOWLEDGE | DRIVER);
    device.setDriverFeatures(featureWords([...bits, VIRTIO_F.VERSION_1, VIRTIO_F.ACCESS_PLATFORM]));
    device.setStatus(ACKNOWLEDGE | DRIVER | FEATURES_OK);
    return [0, 1, 2, 3, 4].map((index) => {
      const shown = devVstatsShow(bus, 'vdpa0', index);
      return JSON.parse(json(shown, false)).vstats.vdpa0.queue_type;
    });
  };
  expect(types([])).toEqual(['rx', 'tx', 'rx', 'tx', 'rx']);
  expect(types([VIRTIO_NET_F.CTRL_VQ])).toEqual(['rx', 'tx', 'control_vq', 'tx', 'rx']);
  expect(types([VIRTIO_NET_F.CTRL_VQ, VIRTIO_NET_F.MQ])).toEqual(['rx', 'tx', 'rx', 'tx', 'control_vq']);
  expect(json(devVstatsShow(bus, 'vdpa0', 1))).toBe(`{
    "vstats": {
        "vdpa0": {
            "queue_type": "tx",
            "received_desc": 0,
            "completed_desc": 0
        }
    }
}`);
});

test('what is not there, and nothing at all', () => {
  const bus = busOf();
  expect(mgmtdevShow(bus, 'x')).toEqual({ outcome: VDPA.NONE, message: 'there is no management device x' });
  expect(devShow(bus, 'x')).toEqual({ outcome: VDPA.NONE, message: 'there is no device x' });
  bus.add('vdpa0', 'vdpasim_net');
  expect(devVstatsShow(bus, 'vdpa0', 5)).toEqual({ outcome: VDPA.INVALID, message: 'qidx is 5, want 0 to 4' });
  expect(json(devShow(new VdpaBus()))).toBe('{\n    "dev": {}\n}');
});
