/** One conformance clause. */
export interface DriverClause {
  /** Section of virtio 1.4. */
  readonly spec: string;
  /** Level and gist of each statement. */
  readonly statements: readonly (readonly [StatementLevel, string])[];
}

/** How binding a statement is. */
export type StatementLevel = 'MUST' | 'MUST NOT' | 'SHOULD' | 'SHOULD NOT' | 'MAY';

/**
 * The driver's normative statements of virtio 1.4, of the areas that a network driver over PCI, MMIO or vDPA meets: section,
 * and for each statement its level and gist, in the order of its clause. `drv.split.framing.1` is the first of `drv.split.framing`.
 * A test holds them against the conformance matrix.
 */
export const DRIVER_CLAUSES = {
  'drv.basic.status': {
    spec: '2.1.1',
    statements: [
      ['MUST', 'record each finished initialization step by setting its status bit'],
      ['MUST NOT', 'take any status bit back from 1 to 0'],
      ['MUST', 'having set FAILED, reset the device ahead of any new initialization attempt'],
      ['SHOULD NOT', 'depend on pending operations finishing once DEVICE_NEEDS_RESET is set'],
    ],
  },
  'drv.basic.features': {
    spec: '2.2.1',
    statements: [
      ['MUST NOT', 'accept feature bits the device is not offering'],
      ['MUST NOT', 'accept a feature whose prerequisite feature stays unaccepted'],
      ['MUST', 'check the validity of offered feature bits'],
      ['MUST', 'disregard offered bits undefined, reserved, or unsupported by transport or device type'],
      ['MUST NOT', 'accept bits undefined, reserved, or unsupported by transport or device type'],
      ['SHOULD', 'fall back to a compatibility mode when an expected feature is missing'],
      ['MUST', 'lacking such fallback, set FAILED and stop initializing'],
      ['MUST NOT', 'give up merely because an unknown feature is on offer'],
    ],
  },
  'drv.basic.reset': {
    spec: '2.4.2',
    statements: [['SHOULD', 'regard its own reset as finished when device status reads 0']],
  },
  'drv.basic.config-space': {
    spec: '2.5.1',
    statements: [
      ['MUST NOT', 'count on atomic reads of fields beyond 32 bits or of several fields'],
      ['SHOULD', 'repeat configuration reads until the generation value is stable'],
      ['MUST', 'verify the gating feature is offered before touching an optional field'],
      ['MUST NOT', 'impose an upper bound on structure or configuration space size'],
      ['SHOULD', 'only test that configuration space covers the fields it needs'],
    ],
  },
  'drv.basic.vq-reset': {
    spec: '2.6.1.1.2',
    statements: [
      ['MUST', 'confirm that a requested queue reset really took place'],
      ['MAY', "free the queue's resources once its reset succeeded"],
    ],
  },
  'drv.basic.vq-reenable': {
    spec: '2.6.1.2.2',
    statements: [['MUST', 'set up queue resources again as at first discovery, parameters may differ']],
  },
  'drv.split.alignment': {
    spec: '2.7.1',
    statements: [['MUST', "align each queue part's physical start per the split-ring alignment table"]],
  },
  'drv.split.framing': {
    spec: '2.7.4.2',
    statements: [
      ['MUST', 'order device-writable elements behind all device-readable ones'],
      ['SHOULD NOT', 'describe one buffer with needlessly many descriptors'],
    ],
  },
  'drv.split.desc-table': {
    spec: '2.7.5.2',
    statements: [
      ['MUST NOT', 'queue a chain totalling over 2^32 bytes (hence no loops)'],
      ['MUST', 'with IN_ORDER, link NEXT descriptors to x+1, wrapping to 0 at table end'],
    ],
  },
  'drv.split.indirect': {
    spec: '2.7.5.3.1',
    statements: [
      ['MUST NOT', 'use the INDIRECT flag without having negotiated INDIRECT_DESC'],
      ['MUST NOT', 'nest an INDIRECT descriptor inside an indirect table'],
      ['MUST NOT', 'build a chain exceeding the queue size'],
      ['MUST NOT', 'combine INDIRECT and NEXT in one descriptor'],
      ['MUST', 'with IN_ORDER, lay indirect descriptors out sequentially (next 1, 2, ...)'],
    ],
  },
  'drv.split.avail-ring': {
    spec: '2.7.6.1',
    statements: [['MUST NOT', 'move the available idx backwards']],
  },
  'drv.split.used-notif-suppression': {
    spec: '2.7.7.1',
    statements: [
      ['MUST', 'without EVENT_IDX, keep available-ring flags at 0 or 1'],
      ['MAY', 'without EVENT_IDX, set those flags to 1 hinting notifications are unneeded'],
      ['MUST', 'with EVENT_IDX, keep available-ring flags at 0'],
      ['MAY', 'with EVENT_IDX, use used_event to postpone notifications until that index'],
      ['MUST', 'tolerate spurious device notifications'],
    ],
  },
  'drv.split.used-ring': {
    spec: '2.7.8.3',
    statements: [
      ['MUST NOT', 'rely on writable-buffer contents past len bytes'],
      ['SHOULD', 'ignore contents past len bytes'],
    ],
  },
  'drv.split.avail-notif-suppression': {
    spec: '2.7.10.1',
    statements: [
      ['MUST', 'zero used-ring flags on allocation'],
      ['MUST', 'without EVENT_IDX, ignore avail_event'],
      ['SHOULD NOT', 'without EVENT_IDX, notify while used-ring flags is 1'],
      ['MUST', 'without EVENT_IDX, notify while used-ring flags is 0'],
      ['MUST', 'with EVENT_IDX, ignore the low bit of used-ring flags'],
      ['MUST', "with EVENT_IDX, notify when the entry's available idx equals avail_event"],
      ['SHOULD NOT', "with EVENT_IDX, notify when the entry's available idx differs from avail_event"],
    ],
  },
  'drv.split.update-idx': {
    spec: '2.7.13.3.1',
    statements: [['MUST', 'order ring writes before the available idx update with a barrier']],
  },
  'drv.split.notify': {
    spec: '2.7.13.4.1',
    statements: [['MUST', 'issue a barrier ahead of reading used-ring flags or avail_event']],
  },
  'drv.packed.alignment': {
    spec: '2.8.11',
    statements: [['MUST', "align each queue part's physical start per the packed-ring alignment table"]],
  },
  'drv.packed.desc-table': {
    spec: '2.8.16',
    statements: [
      ['MUST NOT', 'alter a descriptor before seeing its USED flag change'],
      ['MUST NOT', 'alter a descriptor after flipping its AVAIL flag'],
      ['MUST', 'in notifications, let next_off/next_wrap denote the next not-yet-available descriptor'],
      ['MAY', 'notify repeatedly without exposing new descriptors'],
    ],
  },
  'drv.packed.scatter-gather': {
    spec: '2.8.17',
    statements: [
      ['MUST NOT', 'build a list beyond what the device permits'],
      ['MUST NOT', 'build a list exceeding the queue size (hence no loops)'],
      ['MUST', 'order device-writable elements behind all device-readable ones'],
      ['MUST NOT', 'need the device to use further descriptors before finishing a list'],
      ['MUST', 'ensure ring space for the entire list before exposing its first descriptor'],
      ['MUST NOT', "expose a list's first descriptor before all its later ones"],
    ],
  },
  'drv.packed.indirect': {
    spec: '2.8.19',
    statements: [
      ['MUST NOT', 'use the INDIRECT flag without having negotiated INDIRECT_DESC'],
      ['MUST NOT', 'set flags other than WRITE inside an indirect table'],
      ['MUST NOT', 'build a chain beyond what the device permits'],
      ['MUST NOT', 'mix INDIRECT descriptors into a NEXT-linked list'],
    ],
  },
  'drv.packed.update-flags': {
    spec: '2.8.21.1.1',
    statements: [['MUST', 'order descriptor writes before the flags update with a barrier']],
  },
  'drv.packed.notify': {
    spec: '2.8.21.3.1',
    statements: [['MUST', "issue a barrier ahead of reading the device's event suppression area"]],
  },
  'drv.basic.init': {
    spec: '3.1.1',
    statements: [
      ['MUST', 'perform the initialization steps in the prescribed order'],
      ['MUST', 'step 1: reset the device'],
      ['MUST', 'step 2: set ACKNOWLEDGE'],
      ['MUST', 'step 3: set DRIVER'],
      ['MUST', 'step 4: read offered features, write the subset it understands'],
      ['MAY', 'during step 4, read device-specific configuration to judge the device'],
      ['MUST NOT', 'during step 4, write device-specific configuration'],
      ['MUST', 'step 5: set FEATURES_OK'],
      ['MUST NOT', 'accept further features once step 5 is done'],
      ['MUST', 'step 6: re-read status, treat device as unusable if FEATURES_OK vanished'],
      ['MUST', 'step 7: device-specific setup, incl. virtqueue discovery and population'],
      ['MUST', 'step 8: set DRIVER_OK'],
      ['SHOULD', 'set FAILED when a step fails irrecoverably'],
      ['MUST NOT', 'carry on initializing after such failure'],
      ['MUST NOT', 'notify about available buffers ahead of DRIVER_OK'],
    ],
  },
  'drv.basic.cleanup': {
    spec: '3.3.1',
    statements: [
      ['MUST NOT', 'alter entries of exposed, not yet used buffers of a live queue'],
      ['MUST', 'stop a queue being live, by device reset, before withdrawing exposed buffers'],
    ],
  },
  'drv.basic.suspend': {
    spec: '3.4.1',
    statements: [
      ['SHOULD NOT', 'set SUSPEND lacking DRIVER_OK or negotiated SUSPEND feature'],
      ['MUST', 'confirm suspension by re-reading status: SUSPEND 1, DRIVER_OK 0'],
      ['MUST NOT', 'expose further buffers after setting SUSPEND'],
      ['MUST NOT', 'notify any queue after setting SUSPEND'],
      ['MUST NOT', 'change configuration space after setting SUSPEND, status field aside'],
      ['MUST', 'resuming, await SUSPEND 0 and DRIVER_OK 1 before normal operation'],
    ],
  },
  'drv.pci.discovery': {
    spec: '4.1.2.2',
    statements: [
      ['MUST', 'match vendor 0x1AF4 with modern Device IDs 0x1040..0x107f'],
      ['MUST', 'for listed device types, match transitional Device IDs too'],
      ['MUST', 'match whatever Revision ID'],
      ['MAY', 'match whatever subsystem vendor and device IDs'],
    ],
  },
  'drv.pci.layout': {
    spec: '4.1.3.1',
    statements: [
      ['MUST', 'access configuration fields at natural width and alignment, 64-bit as 32-bit accesses'],
      ['MAY', 'access either half of a 64-bit field separately'],
    ],
  },
  'drv.pci.caps': {
    spec: '4.1.4.1',
    statements: [
      ['MUST', 'skip vendor capabilities whose cfg_type is reserved'],
      ['SHOULD', 'use the first instance it supports of each structure type'],
      ['MUST', 'accept cap_len above the specified length'],
      ['MUST', 'skip vendor capabilities whose bar is reserved'],
      ['SHOULD', 'map only as much configuration structure as operation needs'],
      ['MUST', 'cope with unexpectedly large length'],
      ['MAY', 'check that length suffices for operation'],
      ['MUST NOT', 'write capability fields, except those of the PCI_CFG type'],
    ],
  },
  'drv.pci.common-cfg': {
    spec: '4.1.4.3.2',
    statements: [
      [
        'MUST NOT',
        'write read-only fields: num_queues, device_feature, queue_notif_config_data, config_generation, queue_notify_off',
      ],
      ['MUST NOT', 'with RING_PACKED, write 0 to queue_size'],
      ['MUST NOT', 'without RING_PACKED, write a queue_size other than a power of 2'],
      ['MUST', "set up the queue's other fields before queue_enable"],
      ['MUST', 'having zeroed device_status, wait to read 0 before reinitializing'],
      ['MUST NOT', 'write 0 to queue_enable'],
      ['MUST NOT', 'regard queue reset as finished before queue_reset reads 0'],
      ['MAY', 're-enable the queue via queue_enable once its fields are correct'],
      ['MAY', 'choose other queue settings than before the queue reset'],
      ['MUST', 'place admin queues at admin_queue_index through admin_queue_index + admin_queue_num - 1'],
      ['MAY', 'configure fewer admin queues than the device has'],
    ],
  },
  'drv.pci.isr': {
    spec: '4.1.4.5.2',
    statements: [['SHOULD NOT', 'MSI-X enabled: access ISR status on a queue interrupt']],
  },
  'drv.pci.vendor-cap': {
    spec: '4.1.4.8.2',
    statements: [
      ['SHOULD NOT', 'use vendor data beyond debugging and reporting'],
      ['MUST', 'check vendor_id before interpreting or writing vendor data'],
    ],
  },
  'drv.pci.cfg-access': {
    spec: '4.1.4.9.2',
    statements: [
      ['MUST NOT', 'set a cap.offset that cap.length does not divide'],
      ['MUST', 'keep every access through this window aligned'],
      ['MUST NOT', "access pci_cfg_data unless the window lies in another virtio structure's range"],
    ],
  },
  'drv.pci.msix': {
    spec: '4.1.5.1.2.2',
    statements: [
      ['MUST', 'support every MSI-X Table Size from 0 to 0x7FF'],
      ['MAY', 'use INTx when the device has a single vector'],
      ['MAY', 'take Table Size as a hint for vector count'],
      ['MUST NOT', 'map an event outside the MSI-X table'],
      ['MUST', 'verify each mapping by reading the vector field back'],
      ['MAY', 'on mapping failure, ask for fewer vectors, turn MSI-X off, or report failure'],
    ],
  },
  'drv.pci.avail-notif': {
    spec: '4.1.5.2.1',
    statements: [
      ['MUST', 'without NOTIFICATION_DATA, send 16-bit notifications'],
      ['MUST', 'with NOTIFICATION_DATA, send 32-bit notifications'],
      ['MUST', 'with neither NOTIF_CONFIG_DATA nor NOTIFICATION_DATA, write the queue index'],
      ['MUST', 'with NOTIFICATION_DATA only, put the queue index in vq_index'],
      ['MUST', 'with NOTIF_CONFIG_DATA only, write the queue_notif_config_data value'],
      ['MUST', 'with both, put queue_notif_config_data in vq_notify_config_data'],
    ],
  },
  'drv.pci.config-notif': {
    spec: '4.1.5.4.2',
    statements: [['MUST', 'cope with one interrupt signalling configuration change and used queues together']],
  },
  'drv.mmio.registers': {
    spec: '4.2.2.2',
    statements: [
      ['MUST NOT', 'access locations absent from register table and device configuration'],
      ['MUST NOT', 'write read-only registers'],
      ['MUST NOT', 'read write-only registers'],
      ['MUST', 'access control registers only as aligned 32-bit words'],
      ['MUST', 'access device configuration at natural width, 64-bit fields as 32-bit accesses'],
      ['MUST', 'ignore a device with wrong MagicValue'],
      ['MAY', 'report an error about wrong MagicValue'],
      ['MUST', 'ignore a device whose Version differs from 0x2'],
      ['MAY', 'report an error about wrong Version'],
      ['MUST', 'ignore a device with DeviceID 0'],
      ['MUST NOT', 'report an error about DeviceID 0'],
      ['MUST', 'write DeviceFeaturesSel ahead of reading DeviceFeatures'],
      ['MUST', 'write DriverFeaturesSel ahead of writing DriverFeatures'],
      ['MUST', 'write a QueueSize no larger than QueueSizeMax'],
      ['MUST NOT', 'access queue size or address registers while QueueReady is nonzero'],
      ['MUST', 'write 0 to QueueReady to stop using a queue'],
      ['MUST', 'then read QueueReady back to synchronize'],
      ['MUST', 'ignore undefined InterruptStatus bits'],
      ['MUST', 'acknowledge handled events in InterruptACK when done with an interrupt'],
      ['MUST NOT', 'set undefined bits in InterruptACK'],
      ['MUST NOT', 'regard queue reset as finished before QueueReset reads 0'],
      ['MAY', 're-enable the queue via QueueReady once its fields are correct'],
      ['MAY', 'choose other queue settings than before the queue reset'],
    ],
  },
  'drv.mmio.init': {
    spec: '4.2.3.1.1',
    statements: [
      ['MUST', 'begin by reading and checking MagicValue and Version'],
      ['MUST', 'both being valid, read DeviceID'],
      ['MUST', 'give up initialization on DeviceID 0'],
      ['MUST NOT', 'touch another register after giving up'],
      ['MUST NOT', 'use shared memory registers unless expecting shared memory'],
      ['MUST', 'continue with the generic initialization procedure'],
    ],
  },
  'drv.mmio.notifications': {
    spec: '4.2.3.4.1',
    statements: [
      ['MUST', 'read InterruptStatus after an interrupt to learn its cause'],
      ['SHOULD', 'take the used-buffer bit as notification for every active queue'],
      ['MUST', 'then acknowledge handled events via InterruptACK'],
    ],
  },
  'drv.net.config': {
    spec: '5.1.4.2',
    statements: [
      ['MUST NOT', 'write device configuration fields'],
      ['SHOULD', 'negotiate MAC when offered'],
      ['MUST', "with MAC, use mac as the NIC's physical address"],
      ['SHOULD', 'without MAC, use a locally administered address'],
      ['SHOULD', 'without STATUS, presume the link is up'],
      ['SHOULD', 'with STATUS, take link state from status bit 0'],
      ['SHOULD', 'negotiate MTU when offered'],
      ['MUST', 'with MTU, post buffers enough for one gso NONE/ECN mtu-sized packet'],
      ['MUST NOT', 'with MTU, transmit gso NONE/ECN packets beyond mtu plus Ethernet header'],
      ['SHOULD', 'negotiate STANDBY when offered'],
      ['MUST', 'with SPEED_DUPLEX, take out-of-range speed or duplex as unknown'],
      ['SHOULD', 'with SPEED_DUPLEX, re-read both after configuration change notifications'],
      ['SHOULD NOT', 'negotiate HASH_REPORT without negotiating CTRL_VQ'],
      ['SHOULD NOT', 'negotiate CTRL_RX_EXTRA without negotiating CTRL_VQ'],
    ],
  },
  'drv.net.tx': {
    spec: '5.1.9.2.1',
    statements: [
      ['MUST', 'use one virtio_net_hdr size for transmit and receive'],
      ['MUST', 'zero num_buffers'],
      ['MUST', 'without CSUM, zero flags'],
      ['SHOULD', 'without CSUM, supply fully checksummed packets'],
      ['MAY', 'with OUT_NET_HEADER, give nonzero outer_nh_offset for a valid network header'],
      ['MAY', 'with HOST_TSO4, request TCPv4 segmentation through gso_type TCPV4'],
      ['MUST NOT', 'without HOST_TSO4, use gso_type TCPV4'],
      ['MAY', 'with HOST_TSO6, request TCPv6 segmentation through gso_type TCPV6'],
      ['MUST NOT', 'without HOST_TSO6, use gso_type TCPV6'],
      ['MAY', 'with HOST_UFO, request UDP fragmentation through gso_type UDP'],
      ['MUST NOT', 'without HOST_UFO, use gso_type UDP'],
      ['MAY', 'with HOST_USO, request UDP segmentation through gso_type UDP_L4'],
      ['MUST NOT', 'without HOST_USO, use gso_type UDP_L4'],
      ['SHOULD NOT', 'without HOST_ECN, send ECN-marked TCP packets needing segmentation'],
      ['MUST', 'with HOST_ECN, flag such packets with the gso_type ECN bit'],
      ['MAY', 'with HOST_UDP_TUNNEL_GSO, set the tunnel bit matching the inner IP version'],
      ['MUST NOT', 'without HOST_UDP_TUNNEL_GSO, set a tunnel bit in gso_type'],
      ['MUST', 'for tunnel GSO with inner IPv4, set TUNNEL_IPV4'],
      ['MUST', 'for tunnel GSO with inner IPv6, set TUNNEL_IPV6'],
      ['MUST NOT', 'request tunnel GSO plus outer checksum unless both HOST_UDP_TUNNEL_GSO features are negotiated'],
      ['MUST', 'when requesting that, set a tunnel bit and UDP_TUNNEL_CSUM'],
      ['MUST NOT', 'without HOST_UDP_TUNNEL_GSO_CSUM, set UDP_TUNNEL_CSUM'],
      ['MUST NOT', 'without HOST_UDP_TUNNEL_GSO_CSUM, request tunnel GSO with outer checksum offload'],
      ['MUST NOT', 'combine a tunnel bit with the deprecated gso_type UDP'],
      ['MUST NOT', 'set both tunnel bits at once'],
      ['MUST NOT', 'set UDP_TUNNEL_CSUM lacking a tunnel bit'],
      ['MAY', 'with CSUM, set NEEDS_CSUM'],
      ['MUST', 'NEEDS_CSUM: validate checksum at csum_start/csum_offset and all preceding ones'],
      ['MUST', 'NEEDS_CSUM: seed the stored checksum with the TCP/UDP pseudo header sum'],
      ['MUST', 'NEEDS_CSUM: choose csum_start and csum_offset so that summing completes the checksum'],
      ['MUST', 'without any HOST_TSO/USO/UFO feature, use gso_type NONE'],
      ['MUST', 'gso_type other than NONE: set NEEDS_CSUM too'],
      ['MUST', 'gso_type other than NONE: put the desired MSS in gso_size'],
      ['MUST', 'with GUEST_HDRLEN and GSO: hdr_len equals all headers, innermost transport included'],
      ['SHOULD', 'without GUEST_HDRLEN or GSO: hdr_len no less than the headers'],
      ['MAY', 'with HOST_UDP_TUNNEL_GSO, mark packets with a tunnel bit'],
      ['MUST', 'tunnel bit set: fill in outer_th_offset and inner_nh_offset'],
      ['MAY', 'with HOST_UDP_TUNNEL_GSO_CSUM and a tunnel bit, set UDP_TUNNEL_CSUM'],
      ['MUST', 'UDP_TUNNEL_CSUM set: seed outer UDP checksum with its pseudo header sum'],
      ['MUST NOT', 'tunnel bit lacking _GSO_CSUM feature: require outer UDP checksum validation'],
      ['MUST', 'tunnel bit lacking _GSO_CSUM feature: outer UDP checksum zero or complete'],
      ['MUST NOT', '(repeated) without HOST_UDP_TUNNEL_GSO, set a tunnel bit'],
      ['MUST NOT', '(repeated) without HOST_UDP_TUNNEL_GSO_CSUM, set UDP_TUNNEL_CSUM'],
      ['SHOULD', 'accept GUEST_HDRLEN when offered and exact header lengths are known'],
      ['MUST NOT', 'set DATA_VALID or RSC_INFO'],
      ['MUST NOT', 'combine DATA_VALID with a tunnel bit'],
      ['MAY', 'device supporting IPsec: set the SECURITY flag'],
      ['MUST', 'SECURITY set: have created an outbound SA resource object'],
      ['MUST', 'SECURITY set: name a valid outbound SA object in resource_id'],
    ],
  },
  'drv.net.rx-buffers': {
    spec: '5.1.9.3.1',
    statements: [
      ['SHOULD', 'no MRG_RXBUF, guest GSO: buffers of 65601 bytes (65609 with HASH_REPORT) or more'],
      ['SHOULD', 'no MRG_RXBUF, no guest GSO: buffers of 1526 bytes (1534 with HASH_REPORT)'],
      ['MUST', 'with MRG_RXBUF, make each buffer hold at least virtio_net_hdr'],
      ['MUST', 'size virtio_net_hdr by negotiated features: 32, 24, 20 or 12 bytes'],
      ['SHOULD', 'with MQ, fill each receive queue it will use'],
    ],
  },
  'drv.net.rx': {
    spec: '5.1.9.4.2',
    statements: [
      ['MUST', 'ignore unrecognized flag bits'],
      ['MAY', 'with OUT_NET_HEADER, use a nonzero outer_nh_offset'],
      ['MUST NOT', 'otherwise use outer_nh_offset'],
      ['MUST NOT', 'lacking NEEDS_CSUM or given RSC_INFO, use csum_start or csum_offset'],
      ['MAY', 'with guest GSO, take hdr_len merely as a hint'],
      ['MUST NOT', 'trust hdr_len'],
      ['MUST NOT', 'lacking both NEEDS_CSUM and DATA_VALID, trust the packet checksum'],
      ['MUST NOT', 'accept packets with both tunnel bits'],
      ['MUST NOT', 'lacking tunnel bits, use outer_th_offset or inner_nh_offset'],
      ['MUST NOT', 'accept tunnel-bit packets lacking NEEDS_CSUM'],
      ['MUST NOT', 'accept tunnel-bit packets carrying DATA_VALID'],
      ['MUST NOT', 'accept tunnel-bit packets whose remaining gso_type is NONE'],
      ['MUST NOT', 'accept UDP_TUNNEL_CSUM plus NEEDS_CSUM packets lacking a tunnel bit'],
    ],
  },
  'drv.net.inner-hash': {
    spec: '5.1.9.4.4.5',
    statements: [
      ['MUST', 'have HASH_TUNNEL negotiated before issuing HASH_TUNNEL_SET'],
      ['MUST NOT', 'enable tunnel types outside supported_tunnel_types'],
      ['MUST', 'ignore undocumented bits of supported_tunnel_types'],
    ],
  },
  'drv.net.rx-filter': {
    spec: '5.1.9.5.1.2',
    statements: [
      ['MUST NOT', 'without CTRL_RX, issue PROMISC or ALLMULTI'],
      ['MUST NOT', 'without CTRL_RX_EXTRA, issue ALLUNI, NOMULTI, NOUNI or NOBCAST'],
    ],
  },
  'drv.net.mac-filter': {
    spec: '5.1.9.5.2.2',
    statements: [
      ['MUST NOT', 'without CTRL_RX, issue MAC class commands'],
      ['SHOULD', 'with CTRL_RX, issue MAC_ADDR_SET if its default differs from configuration mac'],
      ['MUST', 'give MAC_TABLE_SET two le32-counted address lists: non-multicast, then multicast'],
      ['MAY', 'leave either list empty'],
    ],
  },
  'drv.net.announce': {
    spec: '5.1.9.5.4.1',
    statements: [
      ['SHOULD', 'with GUEST_ANNOUNCE, inform network peers on seeing the ANNOUNCE status bit'],
      ['MUST', 'send ANNOUNCE_ACK on the control queue'],
    ],
  },
  'drv.net.mq': {
    spec: '5.1.9.5.6.1',
    statements: [
      ['MUST', 'configure queues before enabling them through VQ_PAIRS_SET'],
      ['MUST NOT', 'request zero pairs or above max_virtqueue_pairs'],
      ['MUST', 'transmit on transmitq1 only, ahead of VQ_PAIRS_SET'],
      ['MUST NOT', 'transmit on queues beyond virtqueue_pairs once that command is available'],
    ],
  },
  'drv.net.rss': {
    spec: '5.1.9.5.7.2',
    statements: [
      ['MUST NOT', 'send RSS_CONFIG without having negotiated RSS'],
      ['MUST', 'list solely enabled receive queues in indirection_table'],
      ['MUST', 'use a power-of-two number of table entries'],
      ['MUST', 'keep indirection_table_mask below rss_max_indirection_table_length'],
      ['MUST NOT', 'request hash types the device lacks'],
    ],
  },
  'drv.net.rss-context': {
    spec: '5.1.9.5.8.4',
    statements: [
      ['MUST', 'have RSS_CONTEXT negotiated before issuing RSS context commands'],
      ['MUST', 'keep rss_ctx_id within 1..max_rss_contexts'],
      ['MUST NOT', 'send VQ_PAIRS_SET once an RSS context is configured'],
    ],
  },
  'drv.net.offloads': {
    spec: '5.1.9.5.9.2',
    statements: [['MUST NOT', 'enable an offload whose feature is not negotiated']],
  },
  'drv.net.coalescing': {
    spec: '5.1.9.5.10.5',
    statements: [
      ['MUST', 'name an enabled transmit or receive queue in vq_index'],
      ['MUST', 'have NOTF_COAL negotiated before issuing TX_SET and RX_SET'],
      ['MUST', 'have VQ_NOTF_COAL negotiated before issuing VQ_SET and VQ_GET'],
      ['MUST', 'disregard VQ_GET parameters when answered NET_ERR'],
    ],
  },
  'drv.net.stats': {
    spec: '5.1.9.5.11.13',
    statements: [
      ['MUST', 'request types learned through STATS_QUERY only'],
      ['MUST', 'request types valid for the given vq_index only'],
      ['MUST', "allocate a result buffer holding all requested replies' headers"],
      ['SHOULD', 'enlarge the result buffer when it came back full with replies missing'],
    ],
  },
  'drv.net.flow-filter': {
    spec: '5.1.9.6.5',
    statements: [
      ['MUST', 'enable FF_RESOURCE, FF_SELECTOR and FF_ACTION capabilities before use'],
      ['SHOULD NOT', 'destroy a group that has rules'],
      ['SHOULD', 'destroy a group only after all its rules'],
      ['SHOULD NOT', 'destroy a classifier that has rules'],
      ['SHOULD', 'destroy a classifier only after all its rules'],
      ['SHOULD NOT', 'reuse a rule_priority within one group'],
      ['SHOULD', 'give rules that can match one packet distinct priorities'],
      ['MUST', 'classifier: selector 0 has type ETH'],
      ['MUST', 'classifier: selector 1 has type IPV4 or IPV6 if count exceeds 1'],
      ['MUST', 'classifier: selector 2 has type UDP or TCP if count exceeds 2'],
      ['MUST', 'classifier: fully mask EtherType in selector 0 if count exceeds 1'],
      ['MUST', 'classifier: fully mask IP protocol in selector 1 if count exceeds 2'],
      ['MUST', 'rule: give the proper EtherType key if classifier count exceeds 1'],
      ['MUST', 'rule: give the proper IP protocol key if classifier count exceeds 2'],
      ['SHOULD', "set a field's every mask bit unless PARTIAL_MASK is enabled"],
    ],
  },
  'drv.net.ipsec': {
    spec: '5.1.9.7.5',
    statements: [
      ['MUST', 'discover offered capability types with CAP_ID_LIST_QUERY'],
      ['MUST', 'fetch listed IPSEC_RESOURCE and IPSEC_SA with DEVICE_CAP_GET'],
      ['MUST', 'set IPSEC_RESOURCE and IPSEC_SA to declare what it uses'],
      ['MUST', 'outbound SA: fill in every SA parameter'],
      ['MUST', 'inbound SA: fill in every SA parameter except the tunnel ones'],
      ['SHOULD NOT', 'add several inbound SAs sharing one spi'],
      ['MUST', 'keep outbound packets within the path MTU'],
    ],
  },
  'drv.basic.reserved-features': {
    spec: '6.1',
    statements: [
      ['MUST', 'accept VERSION_1 when offered'],
      ['MAY', 'refuse operation when VERSION_1 is not offered'],
      ['SHOULD', 'accept ACCESS_PLATFORM when offered'],
      ['MUST', 'having accepted it, disable the IOMMU or make it translate passed addresses'],
      ['MUST', 'ACCESS_PLATFORM not offered: pass physical addresses only'],
      ['SHOULD', 'accept RING_PACKED when offered'],
      ['SHOULD', 'accept ORDER_PLATFORM when offered'],
      ['MUST', 'with ORDER_PLATFORM, use barriers fit for hardware devices'],
      ['MAY', 'with SR_IOV, enable VFs through the PCI SR-IOV capability'],
      ['MUST NOT', 'negotiate SR_IOV unless a PCI device with SR-IOV capability'],
      ['MUST', 'finish negotiating SR_IOV, FEATURES_OK check included, before enabling VFs'],
      ['MAY', 'after one negotiation, enable VFs across resets without renegotiating'],
      ['SHOULD', 'accept NOTIF_CONFIG_DATA when offered'],
    ],
  },
} as const;

/** Id of a conformance clause. */
export type ClauseId = keyof typeof DRIVER_CLAUSES;
