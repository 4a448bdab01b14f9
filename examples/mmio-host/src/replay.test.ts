import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { formatRecording, parseRecording, type Recording } from './recording.js';
import { replay } from './replay.js';

const text = readFileSync(new URL('../data/linux-6.1-net.txt', import.meta.url), 'utf8');
const recording = parseRecording(text);
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');

test('a recorded Linux finds in our registers what it found in those of QEMU, and gets its address resolved', () => {
  const { compared, differences, queueSizes, status, sent, received, interrupts } = replay(recording);
  expect(differences).toEqual([]);
  expect([compared, queueSizes, status, interrupts]).toEqual([25, [1024, 1024], 15, 1]);
  const asks = '080600010800060400010200000000010a0000010000000000000a000002';
  expect(sent.map(hex)).toEqual([`ffffffffffff020000000001${asks}`]);
  const answers = '080600010800060400020200000000020a0000020200000000010a000001';
  expect(received.map(hex)).toEqual([`020000000001020000000002${answers}`]);
});

test('an answer that is another one than recorded is named', () => {
  const accesses = recording.accesses.map((access, index) => (index === 1 ? { ...access, value: 1 } : access));
  expect(replay({ ...recording, accesses }).differences).toEqual(['Version at 0x4 is 0x2, recorded 0x1']);
});

test('a line that is none of a recording is named by its number', () => {
  expect(() => parseRecording('# a comment\nr feb02e00 4 74726976\nr feb02e00 8 0\n')).toThrow(
    'line 3 is "r feb02e00 8 0", want ram, r, w, or m in RAM',
  );
});

test('a recording survives being written and read', () => {
  const comment = text.split('\n').filter((line) => line.startsWith('# '));
  const again: Recording = parseRecording(formatRecording(recording, comment));
  expect(again).toEqual(recording);
});
