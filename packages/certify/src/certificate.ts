import type { Finding, Standing } from './verdict.js';

/** `schema` of a certificate: it changes with its shape. */
export const CERTIFICATE_SCHEMA = 'ringwire.certificate/1';

/** How a driver stands to a statement: the scenarios of a cell may not have come to it. */
export type StatementState = Standing | 'not reached';

/** One scenario of one cell. */
export interface ScenarioResult {
  readonly name: string;
  readonly title: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Why it was skipped. */
  readonly because: string | null;
  /** What is wrong, and advice. */
  readonly findings: readonly Finding[];
  readonly ms: number;
}

/** One configuration: a backend of a vendor, a format of rings, an IOMMU or none. */
export interface CellResult {
  readonly name: string;
  readonly backend: string;
  readonly title: string;
  readonly vendor: string;
  readonly rings: 'split' | 'packed';
  readonly iommu: boolean;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly because: string | null;
  readonly scenarios: readonly ScenarioResult[];
  /** By id: all driver statements that this configuration is about. */
  readonly statements: Readonly<Record<string, StatementState>>;
}

/** What a driver was put through, and what came of it. Plain data, that survives JSON. */
export interface Certificate {
  readonly schema: typeof CERTIFICATE_SCHEMA;
  readonly driver: string;
  /** virtio version whose statements are meant. */
  readonly virtio: '1.4';
  /** What is only recommended fails, too. */
  readonly strict: boolean;
  /** Every cell that could run passed, and one did. */
  readonly passed: boolean;
  readonly cells: readonly CellResult[];
}
