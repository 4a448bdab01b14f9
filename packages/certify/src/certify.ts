import { VIRTIO_F, VirtioError } from '@ringwire/virtio-spec';
import {
  CERTIFICATE_SCHEMA,
  type CellResult,
  type Certificate,
  type ScenarioResult,
  type StatementState,
} from './certificate.js';
import { milliseconds } from './clock.js';
import type { DriverModule } from './driver-module.js';
import { BACKENDS } from './rigs/backends.js';
import type { Backend } from './rigs/rig.js';
import type { Scenario } from './scenarios/scenario.js';
import { SCENARIOS } from './scenarios/scenarios.js';
import { DriverFailed, Stage } from './stage.js';
import { statementsOf } from './statements.js';
import { Verdict } from './verdict.js';
import type { TransportKind } from './watch/driver-watch.js';

/** What to certify on. */
export interface CertifyOptions {
  /** Names of {@link backendNames}; all unless given. */
  readonly backends?: readonly string[];
  readonly rings?: readonly ('split' | 'packed')[];
  readonly iommu?: readonly boolean[];
  /** Names of {@link scenarioNames}; all unless given. */
  readonly scenarios?: readonly string[];
  /** What the specification only recommends fails, too. */
  readonly strict?: boolean;
  /** Is told of each cell when it is done. */
  readonly onCell?: (cell: CellResult) => void;
}

/** Backends that there are. */
export const backendNames: readonly string[] = BACKENDS.map(({ name }) => name);
/** Scenarios of each cell. */
export const scenarioNames: readonly string[] = SCENARIOS.map(({ name }) => name);

/** A configuration to be run. */
interface Cell {
  readonly backend: Backend;
  readonly rings: 'split' | 'packed';
  readonly iommu: boolean;
}

/**
 * Put a driver through every scenario on every backend, with split and packed rings, with an IOMMU and without.
 * @throws VirtioError for an option that names what there is not
 */
export async function certify(driver: DriverModule, options: CertifyOptions = {}): Promise<Certificate> {
  const backends = chosen('backends', BACKENDS, options.backends);
  const scenarios = chosen('scenarios', SCENARIOS, options.scenarios);
  const { rings = ['split', 'packed'], iommu = [false, true], strict = false, onCell } = options;
  const cells: CellResult[] = [];
  for (const backend of backends)
    for (const format of rings)
      for (const isTranslated of iommu) {
        const cell = await runCell(driver, { backend, rings: format, iommu: isTranslated }, scenarios, strict);
        cells.push(cell);
        onCell?.(cell);
      }
  const passed =
    cells.some(({ outcome }) => outcome === 'passed') && cells.every(({ outcome }) => outcome !== 'failed');
  return { schema: CERTIFICATE_SCHEMA, driver: driver.name, virtio: '1.4', strict, passed, cells };
}

function chosen<T extends { readonly name: string }>(
  field: string,
  all: readonly T[],
  names: readonly string[] | undefined,
): readonly T[] {
  if (names === undefined) return all;
  return names.map((name) => {
    const found = all.find((one) => one.name === name);
    if (found === undefined)
      throw new VirtioError(field, name, `one of ${all.map((one) => one.name).join(', ')}`, 'certify');
    return found;
  });
}

async function runCell(
  driver: DriverModule,
  cell: Cell,
  scenarios: readonly Scenario[],
  strict: boolean,
): Promise<CellResult> {
  const { backend, rings, iommu } = cell;
  const standings = new Map<string, StatementState>();
  const results: ScenarioResult[] = [];
  const { why, kind } = await lookAt(driver, cell, strict);
  if (why === undefined)
    for (const scenario of scenarios) results.push(await runScenario(driver, cell, scenario, strict, standings));
  const areas = ['basic', rings, 'net', ...(kind === 'vdpa' || kind === undefined ? [] : [kind])];
  const statements: Record<string, StatementState> = {};
  for (const { id } of statementsOf(areas)) statements[id] = standings.get(id) ?? 'not reached';
  for (const [id, state] of standings) statements[id] ??= state;
  const outcomes = results.map(({ outcome }) => outcome);
  const ran = outcomes.some((outcome) => outcome === 'passed');
  return {
    name: `${backend.name}, ${rings}, IOMMU ${iommu ? 'on' : 'off'}`,
    backend: backend.name,
    title: backend.title,
    vendor: backend.vendor,
    rings,
    iommu,
    outcome: outcomes.includes('failed') ? 'failed' : ran ? 'passed' : 'skipped',
    because: why ?? (ran || outcomes.includes('failed') ? null : 'no scenario could run'),
    scenarios: results,
    statements,
  };
}

/** @returns why a cell cannot run, and how the driver reaches the device */
async function lookAt(
  driver: DriverModule,
  cell: Cell,
  strict: boolean,
): Promise<{ why?: string; kind?: TransportKind }> {
  const stage = openStage(driver, cell, 1, new Verdict(strict));
  const { kind } = stage.watch;
  try {
    if (cell.rings === 'split') return { kind };
    // Whether driver and device have packed rings shows when they were asked.
    stage.open();
    if (stage.isThere && !stage.has(VIRTIO_F.RING_PACKED))
      return { kind, why: 'driver and device do not agree on RING_PACKED' };
    if (stage.isThere) stage.stop();
  } catch (error) {
    // What is wrong the scenarios say.
    if (!(error instanceof DriverFailed)) throw error;
  } finally {
    await stage.close();
  }
  return { kind };
}

function openStage(driver: DriverModule, { backend, rings, iommu }: Cell, pairs: number, verdict: Verdict): Stage {
  const stage = new Stage(driver, backend.open({ iommu, pairs }), verdict, pairs);
  if (rings === 'split') stage.withhold(VIRTIO_F.RING_PACKED);
  return stage;
}

async function runScenario(
  driver: DriverModule,
  cell: Cell,
  { name, title, inTurns, pairs = 1, run }: Scenario,
  strict: boolean,
  standings: Map<string, StatementState>,
): Promise<ScenarioResult> {
  const begun = milliseconds();
  const verdict = new Verdict(strict);
  const skipped = (because: string): ScenarioResult => ({
    name,
    title,
    outcome: 'skipped',
    because,
    findings: verdict.findings,
    ms: milliseconds() - begun,
  });
  const cannot = cell.backend.cannot?.(pairs);
  if (cannot !== undefined) return skipped(cannot);
  if (inTurns === true && !cell.backend.inTurns) return skipped('the device runs by itself, in a thread of its own');
  const stage = openStage(driver, cell, pairs, verdict);
  let because: string | undefined;
  try {
    because = run(stage);
    if (stage.isThere) stage.stop();
  } catch (error) {
    if (!(error instanceof DriverFailed)) throw error;
  } finally {
    await stage.close();
  }
  for (const [id, state] of verdict.standings) if (state === 'broken' || !standings.has(id)) standings.set(id, state);
  if (because !== undefined && !verdict.fails) return skipped(because);
  return {
    name,
    title,
    outcome: verdict.fails ? 'failed' : 'passed',
    because: null,
    findings: verdict.findings,
    ms: milliseconds() - begun,
  };
}
