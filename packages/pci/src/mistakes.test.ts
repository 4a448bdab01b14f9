import { expect, test } from 'vitest';
import { pciExpress } from './express-capability.js';
import { advancedErrorReporting, deviceSerialNumber } from './extended-capabilities.js';
import { msix } from './msix-capability.js';
import { powerManagement } from './power-capability.js';
import { RegisterBlock } from './register-block.js';
import { testFunction } from './testing/test-function.js';
import { vendorSpecific } from './vendor-capability.js';

test.each([
  [
    'a BAR of 5000 bytes',
    () => testFunction({ capabilities: [], bars: [{ index: 0, space: 'memory32', size: 5000, regions: [] }] }),
    /^BAR 0 size is 5000, want a power of two from 16 to 2147483648/,
  ],
  [
    'a BAR that another one needs',
    () =>
      testFunction({
        capabilities: [],
        bars: [
          { index: 0, space: 'memory64', size: 64, regions: [] },
          { index: 1, space: 'memory32', size: 64, regions: [] },
        ],
      }),
    /^BAR index is 1, want registers from 0 to 5 that no other BAR has/,
  ],
  [
    'a region at an odd place',
    () =>
      testFunction({
        capabilities: [],
        bars: [
          { index: 2, space: 'memory32', size: 64, regions: [{ offset: 2, size: 4, read: () => 0, write: () => {} }] },
        ],
      }),
    /^BAR 2 region offset is 2/,
  ],
  [
    'a region of 6 bytes',
    () =>
      testFunction({
        capabilities: [],
        bars: [
          { index: 2, space: 'memory32', size: 64, regions: [{ offset: 4, size: 6, read: () => 0, write: () => {} }] },
        ],
      }),
    /^BAR 2 region size is 6/,
  ],
  [
    'an MSI-X table in a BAR that is not there',
    () => testFunction({ bars: [] }),
    /^MSI-X BAR is 2, want a BAR of the function/,
  ],
  [
    'an MSI-X table over other registers',
    () =>
      testFunction({
        capabilities: [msix({ vectors: 1, table: { bar: 0, offset: 0x100 }, pba: { bar: 0, offset: 0 } })],
      }),
    /^BAR 0 region offset is 256/,
  ],
  [
    'an MSI-X table at a multiple of 4',
    () => msix({ vectors: 1, table: { bar: 0, offset: 4 }, pba: { bar: 0, offset: 0 } }),
    /^MSI-X table offset is 4, want a multiple of 8/,
  ],
  [
    '2049 vectors',
    () => msix({ vectors: 2049, table: { bar: 0, offset: 0 }, pba: { bar: 1, offset: 0 } }),
    /^MSI-X vectors is 2049/,
  ],
  [
    'an overlap',
    () =>
      testFunction({
        bars: [],
        capabilities: [powerManagement(false, 0x40), vendorSpecific(new Uint8Array(8), { at: 0x44 })],
      }),
    /^offset of capability 0x9 is 68, want a multiple of 4 with 8 free bytes/,
  ],
  [
    'more than 256 bytes hold',
    () => testFunction({ bars: [], capabilities: [vendorSpecific(new Uint8Array(193))] }),
    /^offset of capability 0x9 is 64/,
  ],
  [
    'extended capabilities without Express',
    () => testFunction({ bars: [], capabilities: [advancedErrorReporting()] }),
    /^offset of capability 0x1 is 256/,
  ],
  ['a serial number of 7 bytes', () => deviceSerialNumber([1, 2, 3, 4, 5, 6, 7]), /^serial number is 7, want 8 bytes/],
  ['a link of no lanes', () => pciExpress({ linkWidth: 0 }), /^linkWidth is 0, want 1 to 32/],
  ['a register past the end', () => new RegisterBlock(4).define(3, 2, 0), /^register is 3, want 2 bytes below 4/],
] as const)('our own mistakes are told: %s', (_, make, message) => {
  expect(make).toThrow(message);
});
