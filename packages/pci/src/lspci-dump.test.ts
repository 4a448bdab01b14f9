import { expect, test } from 'vitest';
import { pciExpress } from './express-capability.js';
import {
  accessControlServices,
  advancedErrorReporting,
  alternativeRoutingId,
  deviceSerialNumber,
} from './extended-capabilities.js';
import { formatLspciDump } from './lspci-dump.js';
import type { PciFunction } from './pci-function.js';
import { lspci, WITHOUT_LSPCI } from './testing/lspci.js';
import { started, testFunction } from './testing/test-function.js';
import { vendorSpecific } from './vendor-capability.js';

/** Of an endpoint that is not device 0 of its bus, lspci leaves out a part. */
const AT = { bus: 1, device: 0, function: 0 };

/** What `lspci -vvv` makes of a function; undefined where it is not installed. */
const lspciOf = ({ config }: PciFunction): string | undefined =>
  lspci(formatLspciDump(AT, config.bytes, 'Ethernet controller'), '-vvv');

test('a dump is lines of 16 bytes behind their offset', () => {
  const bytes = Uint8Array.from({ length: 272 }, (_, i) => i);
  const lines = formatLspciDump({ domain: 1, bus: 0x0a, device: 0x1f, function: 7 }, bytes, 'something').split('\n');
  expect(lines[0]).toBe('0001:0a:1f.7 something');
  expect(lines[2]).toBe('10: 10 11 12 13 14 15 16 17 18 19 1a 1b 1c 1d 1e 1f');
  expect(lines[17]).toBe('100: 00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f');
  expect(lines.slice(18)).toEqual(['', '']);
});

test('lspci reads ids, BARs, Command, MSI-X, power states and interrupts as they were meant', (context) => {
  const { pci } = started();
  pci.configWrite(0x4a, 2, 0x8000);
  // With a dump, lspci 3.9 takes the high half of a 64-bit BAR for one more BAR.
  pci.configWrite(0x14, 4, 0);
  pci.configWrite(0x04, 2, 0x0507);
  pci.configWrite(0x3c, 1, 10);
  pci.config.set16(0x06, pci.config.get16(0x06) | 0x2000);
  const text = lspciOf(pci);
  if (text === undefined) return context.skip(WITHOUT_LSPCI);
  expect(text.split('\n').slice(0, 16)).toEqual([
    '01:00.0 0200: 1af4:1041 (rev 01)',
    '\tSubsystem: 1af4:1100',
    '\tControl: I/O+ Mem+ BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR+ FastB2B- DisINTx+',
    '\tStatus: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort+ >SERR- <PERR- INTx-',
    '\tLatency: 0',
    '\tInterrupt: pin A routed to IRQ 10',
    '\tRegion 0: Memory at fe000000 (64-bit, prefetchable)',
    '\tRegion 2: Memory at fd000000 (32-bit, non-prefetchable)',
    '\tRegion 3: I/O ports at c040',
    '\tCapabilities: [40] Power Management version 3',
    '\t\tFlags: PMEClk- DSI- D1- D2- AuxCurrent=0mA PME(D0-,D1-,D2-,D3hot-,D3cold-)',
    '\t\tStatus: D0 NoSoftRst- PME-Enable- DSel=0 DScale=0 PME-',
    '\tCapabilities: [48] MSI-X: Enable+ Count=4 Masked-',
    '\t\tVector table: BAR=2 offset=00000000',
    '\t\tPBA: BAR=2 offset=00000800',
    '\tCapabilities: [54] Express (v2) Endpoint, MSI 00',
  ]);
});

test('lspci reads the Express capability as it was meant', (context) => {
  const { pci } = testFunction({
    bars: [],
    capabilities: [pciExpress({ linkSpeed: 3, linkWidth: 8, maxPayload: 2 })],
  });
  pci.configWrite(0x48, 2, 0x584f);
  const text = lspciOf(pci);
  if (text === undefined) return context.skip(WITHOUT_LSPCI);
  for (const line of [
    'DevCap:	MaxPayload 512 bytes, PhantFunc 0, Latency L0s <64ns, L1 <1us',
    'ExtTag+ AttnBtn- AttnInd- PwrInd- RBE+ FLReset+ SlotPowerLimit 0W',
    'DevCtl:	CorrErr+ NonFatalErr+ FatalErr+ UnsupReq+',
    'RlxdOrd- ExtTag- PhantFunc- AuxPwr- NoSnoop+ FLReset-',
    'MaxPayload 512 bytes, MaxReadReq 4096 bytes',
    'DevSta:	CorrErr- NonFatalErr- FatalErr- UnsupReq- AuxPwr- TransPend-',
    'LnkCap:	Port #0, Speed 8GT/s, Width x8, ASPM not supported',
    'LnkSta:	Speed 8GT/s, Width x8',
    'DevCap2: Completion Timeout: Not Supported, TimeoutDis+ NROPrPrP- LTR-',
    'LnkCap2: Supported Link Speeds: 2.5-8GT/s, Crosslink- Retimer- 2Retimers- DRS-',
    'LnkCtl2: Target Link Speed: 8GT/s, EnterCompliance- SpeedDis-',
  ])
    expect(text).toContain(`${line}\n`);
});

test('lspci reads virtio and extended capabilities as they were meant', (context) => {
  const { pci } = testFunction({
    extra: [
      vendorSpecific(Uint8Array.of(9, 0, 16, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0)),
      vendorSpecific(Uint8Array.of(9, 0, 20, 2, 0, 0, 0, 0, 0, 0x30, 0, 0, 0, 0x10, 0, 0, 4, 0, 0, 0)),
      advancedErrorReporting(),
      deviceSerialNumber([0x52, 0x54, 0x00, 0xff, 0xff, 0x12, 0x34, 0x56]),
      accessControlServices(0x1f),
      alternativeRoutingId(3),
    ],
  });
  const text = lspciOf(pci);
  if (text === undefined) return context.skip(WITHOUT_LSPCI);
  const capabilities = text.slice(text.indexOf('\tCapabilities: [90]')).split('\n');
  expect(capabilities).toEqual([
    '\tCapabilities: [90] Vendor Specific Information: VirtIO: CommonCfg',
    '\t\tBAR=0 offset=00000000 size=00000040',
    '\tCapabilities: [a0] Vendor Specific Information: VirtIO: Notify',
    '\t\tBAR=0 offset=00003000 size=00001000 multiplier=00000004',
    '\tCapabilities: [100 v2] Advanced Error Reporting',
    '\t\tUESta:\tDLP- SDES- TLP- FCP- CmpltTO- CmpltAbrt- UnxCmplt- RxOF- MalfTLP- ECRC- UnsupReq- ACSViol-',
    '\t\tUEMsk:\tDLP- SDES- TLP- FCP- CmpltTO- CmpltAbrt- UnxCmplt- RxOF- MalfTLP- ECRC- UnsupReq- ACSViol-',
    '\t\tUESvrt:\tDLP+ SDES+ TLP- FCP+ CmpltTO- CmpltAbrt- UnxCmplt- RxOF+ MalfTLP+ ECRC- UnsupReq- ACSViol-',
    '\t\tCESta:\tRxErr- BadTLP- BadDLLP- Rollover- Timeout- AdvNonFatalErr-',
    '\t\tCEMsk:\tRxErr- BadTLP- BadDLLP- Rollover- Timeout- AdvNonFatalErr+',
    '\t\tAERCap:\tFirst Error Pointer: 00, ECRCGenCap- ECRCGenEn- ECRCChkCap- ECRCChkEn-',
    '\t\t\tMultHdrRecCap- MultHdrRecEn- TLPPfxPres- HdrLogCap-',
    '\t\tHeaderLog: 00000000 00000000 00000000 00000000',
    '\tCapabilities: [148 v1] Device Serial Number 52-54-00-ff-ff-12-34-56',
    '\tCapabilities: [154 v1] Access Control Services',
    '\t\tACSCap:\tSrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-',
    '\t\tACSCtl:\tSrcValid- TransBlk- ReqRedir- CmpltRedir- UpstreamFwd- EgressCtrl- DirectTrans-',
    '\tCapabilities: [15c v1] Alternative Routing-ID Interpretation (ARI)',
    '\t\tARICap:\tMFVC- ACS-, Next Function: 3',
    '\t\tARICtl:\tMFVC- ACS-, Function Group: 0',
    '',
    '',
  ]);
});
