import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { decodeConfigSpace } from './decode-config.js';
import { addressOf, formatLspciDump } from './lspci-dump.js';
import { lspci, WITHOUT_LSPCI } from './testing/lspci.js';
import { FIRST_VF, PF, PORT, SRIOV, SriovMachine } from './testing/sriov-machine.js';

const GOLDEN = fileURLToPath(new URL('../../../golden/sets/pci-q10-igb/', import.meta.url));

/** Configuration space of a function of the recorded machine. */
function recorded(bdf: string): Uint8Array {
  const { devices } = JSON.parse(readFileSync(`${GOLDEN}expected.json`, 'utf8'));
  const { offset, length } = devices.find((device: { readonly bdf: string }) => device.bdf === bdf);
  return readFileSync(`${GOLDEN}config.bin`).subarray(offset, offset + length);
}

function sections(text: string): Map<string, string[]> {
  const blocks = text.trimEnd().split('\n\n');
  return new Map(blocks.map((block) => [block.slice(0, 7), block.split('\n').map((line) => line.trim())]));
}

function dumped(stage: SriovMachine): string {
  return [...stage.machine.functions()]
    .map(({ pci, routingId }) => formatLspciDump(addressOf(routingId), pci.config.bytes))
    .join('');
}

test('lspci reads a port, a physical function and its virtual ones as they were meant', (context) => {
  const stage = new SriovMachine();
  stage.number();
  stage.enable(3);
  stage.machine.configWrite(FIRST_VF + 2, 4, 2, 4);
  stage.machine.memoryWrite(0xfe12_0000, 4, 0);
  const text = lspci(dumped(stage), '-vvv');
  if (text === undefined) return context.skip(WITHOUT_LSPCI);
  const found = sections(text);
  expect([...found.keys()]).toEqual(['00:01.0', '01:00.0', '01:10.0', '01:10.1', '01:10.2']);
  const port = found.get('00:01.0')!;
  for (const line of [
    '00:01.0 0604: 1b36:000c (prog-if 00 [Normal decode])',
    'Bus: primary=00, secondary=01, subordinate=03, sec-latency=0',
    'Memory behind bridge: fe000000-feffffff [size=16M] [32-bit]',
    'Prefetchable memory behind bridge: 0000001000000000-0000001000ffffff [size=16M] [64-bit]',
    'Capabilities: [48] Express (v2) Root Port (Slot-), MSI 00',
    'FRS- LN System CLS Not Supported, TPHComp- ExtTPHComp- ARIFwd+',
    'ACSCap:	SrcValid+ TransBlk+ ReqRedir+ CmpltRedir+ UpstreamFwd+ EgressCtrl- DirectTrans-',
    'RootCmd: CERptEn- NFERptEn- FERptEn-',
    'RootSta: CERcvd- MultCERcvd- UERcvd- MultUERcvd-',
    'ErrorSrc: ERR_COR: 0000 ERR_FATAL/NONFATAL: 0000',
  ])
    expect(
      port.some((own) => own.startsWith(line) || own.includes(line)),
      line,
    ).toBe(true);
  const pf = found.get('01:00.0')!;
  expect(pf.slice(pf.indexOf('Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)'))).toEqual([
    'Capabilities: [160 v1] Single Root I/O Virtualization (SR-IOV)',
    'IOVCap:	Migration- 10BitTagReq- Interrupt Message Number: 000',
    'IOVCtl:	Enable+ Migration- Interrupt- MSE+ ARIHierarchy+ 10BitTagReq-',
    'IOVSta:	Migration-',
    'Initial VFs: 8, Total VFs: 8, Number of VFs: 3, Function Dependency Link: 00',
    'VF offset: 128, stride: 1, Device ID: 10ca',
    'Supported Page Size: 00000553, System Page Size: 00000001',
    'Region 0: Memory at 0000001000100000 (64-bit, prefetchable)',
    'Region 3: Memory at fe800000 (32-bit, non-prefetchable)',
    'VF Migration: offset: 00000000, BIR: 0',
  ]);
  expect(pf).toContain(
    'UESta:	DLP- SDES- TLP- FCP- CmpltTO- CmpltAbrt- UnxCmplt- RxOF- MalfTLP- ECRC- UnsupReq+ ACSViol-',
  );
  expect(pf.some((line) => line.startsWith('AERCap:	First Error Pointer: 14'))).toBe(true);
  expect(pf).toContain('HeaderLog: 40000001 0000000f fe120000 00000000');
  expect(found.get('01:10.2')!.slice(0, 5)).toEqual([
    '01:10.2 0200: ffff:ffff (rev 01)',
    'Subsystem: 1af4:1100',
    'Control: I/O- Mem- BusMaster+ SpecCycle- MemWINV- VGASnoop- ParErr- Stepping- SERR- FastB2B- DisINTx-',
    'Status: Cap+ 66MHz- UDF- FastB2B- ParErr- DEVSEL=fast >TAbort- <TAbort- <MAbort- >SERR- <PERR- INTx-',
    'Latency: 0',
  ]);
});

test('our decoder reads the same of the capability as lspci does', () => {
  const stage = new SriovMachine();
  stage.number();
  stage.enable(3);
  const { extended, problems } = decodeConfigSpace(stage.pf.config.bytes);
  expect(problems).toEqual([]);
  expect(extended.find(({ name }) => name === 'SR_IOV')!.details).toMatchObject({
    enabled: true,
    memorySpace: true,
    ariHierarchy: true,
    totalVfs: 8,
    numVfs: 3,
    firstVfOffset: 128,
    vfStride: 1,
  });
});

test('set up as Linux set up the 82576 of the recorded machine, the capability has the same 64 bytes', () => {
  const vfBar = { space: 'memory64', size: 0x4000, prefetchable: true } as const;
  const stage = new SriovMachine({
    routing: { first: 128, stride: 2 },
    vfBars: [
      { index: 0, ...vfBar },
      { index: 3, ...vfBar },
    ],
  });
  stage.machine.configWrite(PORT, 0x18, 4, 0x0002_0100);
  stage.machine.configWrite(PORT, 0x70, 2, 0x20);
  const write = (at: number, size: number, value: number): void =>
    stage.machine.configWrite(PF, SRIOV + at, size, value);
  write(0x24, 4, 0xfe80_0000);
  write(0x30, 4, 0xfe82_0000);
  write(0x08, 2, 0x10);
  write(0x20, 4, 1);
  write(0x10, 2, 2);
  write(0x08, 2, 0x19);
  const golden = recorded('0000:01:00.0');
  // The header says where the next capability is; ours is the last one too.
  expect(stage.pf.config.bytes.subarray(SRIOV, SRIOV + 0x40)).toEqual(new Uint8Array(golden.subarray(0x160, 0x1a0)));
  expect([...stage.machine.functions()].map(({ routingId }) => routingId)).toEqual([PORT, PF, 0x0180, 0x0182]);
});

test('a virtual function’s header is that of the recorded machine’s, but for two bits that QEMU lets be written', () => {
  const stage = new SriovMachine();
  stage.number();
  stage.enable(1);
  stage.machine.configWrite(FIRST_VF, 4, 2, 0xffff);
  const ours = stage.machine.functionAt(FIRST_VF)!.config.bytes.slice(0, 0x40);
  const golden = new Uint8Array(recorded('0000:01:10.0').subarray(0, 0x40));
  // Memory Space Enable and Interrupt Disable, which PCIe 5.0 §9.3.4.1.3 hardwires to 0; where capabilities begin.
  expect([golden[4], golden[5], golden[0x34]]).toEqual([0x06, 0x04, 0xa0]);
  golden.set([0x04, 0x00], 4);
  golden[0x34] = 0x40;
  expect(ours).toEqual(golden);
});
