import { tableBase } from './vtd-paging.js';
import { VTD_TTM } from './vtd-registers.js';
import type { VtdTable } from './vtd-table-reader.js';
import {
  VTD_CONTEXT_ENTRY,
  VTD_FS_ENTRY,
  VTD_PASID_DIR_ENTRY,
  VTD_PASID_ENTRY,
  VTD_SM_CONTEXT_ENTRY,
  VTD_SS_ENTRY,
  VTD_SS_ENTRY_TM_HIGH,
} from './vtd-tables.js';

const hex = (value: number): string => `0x${value.toString(16)}`;
const TT_NAMES = ['untranslated', 'device-tlb', 'pass-through', 'reserved'];
const PGTT_NAMES = ['reserved', 'first-stage', 'second-stage', 'nested', 'pass-through'];
const WIDTH_NAMES = ['reserved', '39', '48', '57'];

/** Names of the bits that are set. */
function flags(word: number, layout: Readonly<Record<string, number>>, names: readonly string[]): string[] {
  return names.filter((name) => (word & layout[name]!) !== 0);
}

/** What an entry says, by the specification's field names: bits that are set, then fields with their values. */
export function decodeEntry(table: VtdTable, mode: number, words: Uint32Array): string[] {
  const base = hex(tableBase(words[0]!, words[1]!));
  switch (table) {
    case 'root':
      return mode === VTD_TTM.LEGACY
        ? rootHalf('', words, 0)
        : [...rootHalf('L', words, 0), ...rootHalf('U', words, 2)];
    case 'context':
      return mode === VTD_TTM.LEGACY ? legacyContext(words, base) : scalableContext(words, base);
    case 'pasid-directory':
      return [...flags(words[0]!, VTD_PASID_DIR_ENTRY, ['P', 'FPD']), `SMPTBLPTR=${base}`];
    case 'pasid-table':
      return pasid(words, base);
    case 'second-stage': {
      const set = flags(words[0]!, VTD_SS_ENTRY, ['R', 'W', 'X', 'PS', 'A', 'D', 'SNP']);
      if ((words[1]! & VTD_SS_ENTRY_TM_HIGH) !== 0) set.push('TM');
      return [...set, `ADDR=${base}`];
    }
    case 'first-stage': {
      const set = flags(words[0]!, VTD_FS_ENTRY, ['P', 'RW', 'US', 'A', 'D', 'PS', 'EA']);
      if (words[1]! >>> 31 !== 0) set.push('XD');
      return [...set, `ADDR=${base}`];
    }
    case 'irte':
      return [];
    default:
      return table satisfies never;
  }
}

function rootHalf(half: string, words: Uint32Array, at: number): string[] {
  const present = (words[at]! & 1) !== 0 ? [`${half}P`] : [];
  return [...present, `${half}CTP=${hex(tableBase(words[at]!, words[at + 1]!))}`];
}

function legacyContext(words: Uint32Array, base: string): string[] {
  const { word0, word2 } = VTD_CONTEXT_ENTRY;
  return [
    ...flags(words[0]!, word0, ['P', 'FPD']),
    `TT=${TT_NAMES[(words[0]! >>> word0.TT_SHIFT) & 3]}`,
    `AW=${WIDTH_NAMES[words[2]! & word2.AW] ?? 'reserved'}`,
    `DID=${(words[2]! >>> word2.DID_SHIFT) & 0xffff}`,
    `SSPTPTR=${base}`,
  ];
}

function scalableContext(words: Uint32Array, base: string): string[] {
  const { word0, word2 } = VTD_SM_CONTEXT_ENTRY;
  return [
    ...flags(words[0]!, word0, ['P', 'FPD', 'DTE', 'PASIDE', 'PRE']),
    ...flags(words[2]!, word2, ['RID_PRIV']),
    `PDTS=${(words[0]! >>> word0.PDTS_SHIFT) & 7}`,
    `RID_PASID=${words[2]! & word2.RID_PASID}`,
    `PASIDDIRPTR=${base}`,
  ];
}

function pasid(words: Uint32Array, base: string): string[] {
  const { word0, word4 } = VTD_PASID_ENTRY;
  return [
    ...flags(words[0]!, word0, ['P', 'FPD', 'SSADE']),
    ...flags(words[4]!, word4, ['SRE', 'ERE', 'WPE', 'NXE', 'SMEP', 'EAFE']),
    `PGTT=${PGTT_NAMES[(words[0]! >>> word0.PGTT_SHIFT) & 7] ?? 'reserved'}`,
    `AW=${WIDTH_NAMES[(words[0]! >>> word0.AW_SHIFT) & 7] ?? 'reserved'}`,
    `DID=${words[2]! & 0xffff}`,
    `SSPTPTR=${base}`,
    `FSPM=${(words[4]! >>> word4.FSPM_SHIFT) & 3}`,
    `FSPTPTR=${hex(tableBase(words[4]!, words[5]!))}`,
  ];
}
