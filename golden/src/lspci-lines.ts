import {
  type BarReport,
  type CapabilityReport,
  type ConfigReport,
  type ExpressDetails,
  type ExtendedReport,
  PCI_COMMAND,
  PCI_EXP_TYPE,
  PCI_STATUS,
  type SriovDetails,
} from '@ringwire/pci';

/** What lspci would print of a report. A line that ends with `…` is the beginning of one. */

const hex = (value: number | bigint, digits: number): string => value.toString(16).padStart(digits, '0');
const sign = (on: boolean): string => (on ? '+' : '-');
/** Names with the bits that they are printed for. */
const flags = (value: number, names: readonly (readonly [string, number])[]): string =>
  names.map(([name, bit]) => `${name}${sign((value & bit) !== 0)}`).join(' ');

export function headerLines({ header, bars, rom }: ConfigReport): string[] {
  const { command, status, interruptPin, interruptLine, buses } = header;
  const control = flags(command, [
    ['I/O', PCI_COMMAND.IO_SPACE_ENABLE],
    ['Mem', PCI_COMMAND.MEMORY_SPACE_ENABLE],
    ['BusMaster', PCI_COMMAND.BUS_MASTER_ENABLE],
    ['SpecCycle', PCI_COMMAND.SPECIAL_CYCLE_ENABLE],
    ['MemWINV', PCI_COMMAND.MEMORY_WRITE_AND_INVALIDATE],
    ['VGASnoop', PCI_COMMAND.VGA_PALETTE_SNOOP],
    ['ParErr', PCI_COMMAND.PARITY_ERROR_RESPONSE],
    ['Stepping', PCI_COMMAND.STEPPING_CONTROL],
    ['SERR', PCI_COMMAND.SERR_ENABLE],
    ['FastB2B', PCI_COMMAND.FAST_BACK_TO_BACK_ENABLE],
    ['DisINTx', PCI_COMMAND.INTERRUPT_DISABLE],
  ]);
  const speed = ['fast', 'medium', 'slow', '??'][(status & PCI_STATUS.DEVSEL_TIMING) >> 9];
  const before = flags(status, [
    ['Cap', PCI_STATUS.CAPABILITIES_LIST],
    ['66MHz', PCI_STATUS.MHZ_66_CAPABLE],
    ['UDF', 0x40],
    ['FastB2B', PCI_STATUS.FAST_BACK_TO_BACK_CAPABLE],
    ['ParErr', PCI_STATUS.MASTER_DATA_PARITY_ERROR],
  ]);
  const after = flags(status, [
    ['>TAbort', PCI_STATUS.SIGNALED_TARGET_ABORT],
    ['<TAbort', PCI_STATUS.RECEIVED_TARGET_ABORT],
    ['<MAbort', PCI_STATUS.RECEIVED_MASTER_ABORT],
    ['>SERR', PCI_STATUS.SIGNALED_SYSTEM_ERROR],
    ['<PERR', PCI_STATUS.DETECTED_PARITY_ERROR],
    ['INTx', PCI_STATUS.INTERRUPT_STATUS],
  ]);
  return [
    `Control: ${control}`,
    `Status: ${before} DEVSEL=${speed} ${after}`,
    ...(interruptPin === 0 ? [] : [`Interrupt: pin ${'?ABCD'[interruptPin]} routed to IRQ ${interruptLine}`]),
    ...bars.map((bar) => `Region ${bar.index}: ${regionText(bar, command)}`),
    ...(buses === undefined
      ? []
      : [
          `Bus: primary=${hex(buses.primary, 2)}, secondary=${hex(buses.secondary, 2)}, subordinate=${hex(buses.subordinate, 2)}, …`,
        ]),
    ...(rom === undefined ? [] : [`Expansion ROM at ${hex(rom.address, 8)}${rom.enabled ? '' : ' [disabled]'}`]),
  ];
}

function regionText({ space, prefetchable, address }: BarReport, command: number): string {
  const enable = space === 'io' ? PCI_COMMAND.IO_SPACE_ENABLE : PCI_COMMAND.MEMORY_SPACE_ENABLE;
  const disabled = (command & enable) === 0 ? ' [disabled]' : '';
  if (space === 'io') return `I/O ports at ${hex(address, 4)}${disabled}`;
  return `Memory at ${hex(address, 8)} (${kindText(space, prefetchable)})${disabled}`;
}

const kindText = (space: BarReport['space'], prefetchable: boolean): string =>
  `${space === 'memory64' ? 64 : 32}-bit, ${prefetchable ? '' : 'non-'}prefetchable`;

const EXPRESS: Readonly<Record<number, string>> = {
  [PCI_EXP_TYPE.ENDPOINT]: 'Endpoint',
  [PCI_EXP_TYPE.ROOT_PORT]: 'Root Port',
  [PCI_EXP_TYPE.UPSTREAM_PORT]: 'Upstream Port',
  [PCI_EXP_TYPE.DOWNSTREAM_PORT]: 'Downstream Port',
  [PCI_EXP_TYPE.PCIE_TO_PCI_BRIDGE]: 'PCI-Express to PCI/PCI-X Bridge',
  [PCI_EXP_TYPE.ROOT_COMPLEX_INTEGRATED_ENDPOINT]: 'Root Complex Integrated Endpoint',
};
const VIRTIO: Readonly<Record<string, string>> = {
  COMMON_CFG: 'CommonCfg',
  NOTIFY_CFG: 'Notify',
  ISR_CFG: 'ISR',
  DEVICE_CFG: 'DeviceCfg',
};

/** The line of a capability, without its place, and those under it. */
export function capabilityLines({ name, details }: CapabilityReport): string[] {
  switch (details.kind) {
    case 'power-management':
      return [
        `Power Management version ${details.version}`,
        `Status: ${['D0', 'D1', 'D2', 'D3'][details.state]} NoSoftRst${sign(details.noSoftReset)} …`,
      ];
    case 'msi': {
      const count = `${details.allocated}/${details.capable}`;
      const kind = `Maskable${sign(details.maskable)} 64bit${sign(details.address64)}`;
      return [`MSI: Enable${sign(details.enabled)} Count=${count} ${kind}`];
    }
    case 'msi-x':
      return [
        `MSI-X: Enable${sign(details.enabled)} Count=${details.vectors} Masked${sign(details.masked)}`,
        `Vector table: BAR=${details.table.bar} offset=${hex(details.table.offset, 8)}`,
        `PBA: BAR=${details.pba.bar} offset=${hex(details.pba.offset, 8)}`,
      ];
    case 'pci-express': {
      const port = details.type === PCI_EXP_TYPE.ROOT_PORT || details.type === PCI_EXP_TYPE.DOWNSTREAM_PORT;
      const slot = port ? ` (Slot${sign(details.slot)})` : '';
      return [
        `Express (v${details.version}) ${EXPRESS[details.type]}${slot}, MSI ${hex(details.interruptMessage, 2)}`,
        `DevCap:\tMaxPayload ${details.maxPayloadSupported} bytes, …`,
        `MaxPayload ${details.maxPayload} bytes, MaxReadReq ${details.maxReadRequest} bytes`,
        ...linkLines(details.link, port),
      ];
    }
    case 'virtio': {
      const { bar, offset, length, notifyOffMultiplier: multiplier } = details;
      const more = multiplier === undefined ? '' : ` multiplier=${hex(multiplier, 8)}`;
      return [
        `Vendor Specific Information: VirtIO: ${VIRTIO[details.cfgName ?? ''] ?? '<unknown>'}`,
        `BAR=${bar} offset=${hex(offset, 8)} size=${hex(length, 8)}${more}`,
      ];
    }
    case 'bridge-subsystem':
      return [`Subsystem: [${hex(details.vendorId, 4)}:${hex(details.id, 4)}]`];
    case 'vendor-specific':
      return [`Vendor Specific Information: Len=${hex(details.length, 2)} …`];
    case 'other':
      return [name === 'SATA' ? 'SATA HBA …' : name === 'HOT_PLUG' ? 'Hot-plug capable' : `${name}`];
  }
}

/** A port may have less than it can, without a remark. */
function linkLines(link: ExpressDetails['link'], port: boolean): string[] {
  if (link === undefined) return [];
  const { most, now } = link;
  const remark = (is: number, can: number): string =>
    is > can ? ' (overdriven)' : is < can && !port ? ' (downgraded)' : '';
  const speed = `${speedText(now.speed)}${remark(now.speed, most.speed)}`;
  return [
    `LnkCap:\tPort #0, Speed ${speedText(most.speed)}, Width x${most.width}, …`,
    `LnkSta:\tSpeed ${speed}, Width x${now.width}${remark(now.width, most.width)}`,
  ];
}

const speedText = (code: number): string => ['unknown', '2.5GT/s', '5GT/s', '8GT/s', '16GT/s', '32GT/s'][code] ?? '?';

const UNCORRECTABLE = [
  ['DLP', 0x10],
  ['SDES', 0x20],
  ['TLP', 0x1000],
  ['FCP', 0x2000],
  ['CmpltTO', 0x4000],
  ['CmpltAbrt', 0x8000],
  ['UnxCmplt', 0x1_0000],
  ['RxOF', 0x2_0000],
  ['MalfTLP', 0x4_0000],
  ['ECRC', 0x8_0000],
  ['UnsupReq', 0x10_0000],
  ['ACSViol', 0x20_0000],
] as const;
const CORRECTABLE = [
  ['RxErr', 0x1],
  ['BadTLP', 0x40],
  ['BadDLLP', 0x80],
  ['Rollover', 0x100],
  ['Timeout', 0x1000],
  ['AdvNonFatalErr', 0x2000],
] as const;
const ACS = [
  ['SrcValid', 0x01],
  ['TransBlk', 0x02],
  ['ReqRedir', 0x04],
  ['CmpltRedir', 0x08],
  ['UpstreamFwd', 0x10],
  ['EgressCtrl', 0x20],
  ['DirectTrans', 0x40],
] as const;

export function extendedLines({ name, details }: ExtendedReport): string[] {
  switch (details.kind) {
    case 'aer':
      return [
        'Advanced Error Reporting',
        `UESta:\t${flags(details.uncorrectableStatus, UNCORRECTABLE)}`,
        `UEMsk:\t${flags(details.uncorrectableMask, UNCORRECTABLE)}`,
        `UESvrt:\t${flags(details.uncorrectableSeverity, UNCORRECTABLE)}`,
        `CESta:\t${flags(details.correctableStatus, CORRECTABLE)}`,
        `CEMsk:\t${flags(details.correctableMask, CORRECTABLE)}`,
      ];
    case 'serial-number':
      return [`Device Serial Number ${hex(details.serial, 16).match(/../g)!.join('-')}`];
    case 'acs':
      return [
        'Access Control Services',
        `ACSCap:\t${flags(details.capability, ACS)}`,
        `ACSCtl:\t${flags(details.control, ACS)}`,
      ];
    case 'ari':
      return [
        'Alternative Routing-ID Interpretation (ARI)',
        `ARICap:\tMFVC- ACS-, Next Function: ${details.nextFunction}`,
      ];
    case 'ats':
      return [
        'Address Translation Service (ATS)',
        `ATSCap:\tInvalidate Queue Depth: ${hex(details.invalidateQueueDepth % 32, 2)}`,
        `ATSCtl:\tEnable${sign(details.enabled)}, …`,
      ];
    case 'sr-iov':
      return sriovLines(details);
    case 'other':
      return [`${name}`];
  }
}

function sriovLines(details: SriovDetails): string[] {
  const { enabled, memorySpace, ariHierarchy, vfBars } = details;
  return [
    'Single Root I/O Virtualization (SR-IOV)',
    `IOVCtl:\tEnable${sign(enabled)} Migration- Interrupt- MSE${sign(memorySpace)} ARIHierarchy${sign(ariHierarchy)} …`,
    `Initial VFs: ${details.initialVfs}, Total VFs: ${details.totalVfs}, Number of VFs: ${details.numVfs}, …`,
    `VF offset: ${details.firstVfOffset}, stride: ${details.vfStride}, Device ID: ${hex(details.vfDeviceId, 4)}`,
    `Supported Page Size: ${hex(details.supportedPageSizes, 8)}, System Page Size: ${hex(details.systemPageSize, 8)}`,
    ...vfBars.map(
      ({ index, space, prefetchable, address }) =>
        `Region ${index}: Memory at ${hex(address, 16)} (${kindText(space, prefetchable)})`,
    ),
  ];
}
