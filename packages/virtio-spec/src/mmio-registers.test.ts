import { expect, test } from 'vitest';
import { MMIO_CONFIG_AT, MMIO_INTERRUPT, MMIO_MAGIC_VALUE, MMIO_REGISTERS, MMIO_VERSION } from './mmio-registers.js';
import { walkLayout } from './testing/walk-layout.js';

// Written from the table of virtio 1.4 §4.2.2: offset and direction.
const TABLE = `000 R, 004 R, 008 R, 00c R, 010 R, 014 W, 020 W, 024 W, 030 W, 034 R, 038 W, 044 RW, 050 W, 060 R, 064 W,
  070 RW, 080 W, 084 W, 090 W, 094 W, 0a0 W, 0a4 W, 0ac W, 0b0 R, 0b4 R, 0b8 R, 0bc R, 0c0 RW, 0fc R`;

const DIRECTION = { ro: 'R', wo: 'W', rw: 'RW' };

test('virtio 1.4 §4.2.2: every register with its offset and direction', () => {
  const rows = Object.values(MMIO_REGISTERS).map(
    ({ at, access }) => `${at.toString(16).padStart(3, '0')} ${DIRECTION[access]}`,
  );
  expect(rows).toEqual(TABLE.split(',').map((row) => row.trim()));
});

test('virtio 1.4 §4.2.2: nothing overlaps, and the gaps before the configuration space are the table’s', () => {
  expect(walkLayout(MMIO_REGISTERS, MMIO_CONFIG_AT)).toEqual([
    'gap 24..32 before DriverFeatures',
    'gap 40..48 before QueueSel',
    'gap 60..68 before QueueReady',
    'gap 72..80 before QueueNotify',
    'gap 84..96 before InterruptStatus',
    'gap 104..112 before Status',
    'gap 116..128 before QueueDescLow',
    'gap 136..144 before QueueDriverLow',
    'gap 152..160 before QueueDeviceLow',
    'gap 168..172 before SHMSel',
    'gap 196..252 before ConfigGeneration',
  ]);
  expect(MMIO_CONFIG_AT).toBe(0x100);
});

test('virtio 1.4 §4.2.2.2: registers are aligned 32-bit words', () => {
  for (const { at, bytes } of Object.values(MMIO_REGISTERS)) expect([at % 4, bytes]).toEqual([0, 4]);
});

test('virtio 1.4 §4.2.2.1: MagicValue is "virt" in little-endian bytes, Version is 2', () => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, MMIO_MAGIC_VALUE, true);
  expect(String.fromCharCode(...bytes)).toBe('virt');
  expect(MMIO_VERSION).toBe(2);
  expect(MMIO_INTERRUPT).toEqual({ USED_BUFFER: 0b01, CONFIGURATION_CHANGE: 0b10 });
});
