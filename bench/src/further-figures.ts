import { formatClaim, measureClaim, selectClaims } from './claims/index.js';
import { COMPARE_TEXT, formatCompare, measureCompare, selectCompare } from './compare-figures.js';
import { formatV86, measureV86, selectV86, V86_TEXT, v86Problem } from './embed/v86-figures.js';
import { FAILOVER_TEXT, formatFailover, measureFailover, selectFailover } from './failover/failover-figures.js';
import { formatMigrate, MIGRATE_TEXT, measureMigrate, selectMigrate } from './migrate/migrate-figures.js';
import { formatShadow, measureShadow, SHADOW_TEXT, selectShadow } from './migrate/shadow-figures.js';
import { formatOffloads, measureOffloads, OFFLOAD_NAMES } from './offload-figures.js';
import type { Options } from './options.js';
import { formatParity, measureParity, PARITY_TEXT, selectParity } from './parity-figures.js';
import type { FurtherFigures } from './report-json.js';
import { wrapText } from './wrap-text.js';

type Say = (text: string) => void;

/** What was measured of a kind. */
export interface Measured {
  readonly json: Partial<FurtherFigures>;
  /** Nothing is wrong with it. */
  readonly isSound: boolean;
}

/** A kind of figures that there are beside the cases. */
export interface FigureKind {
  /** Of those that were asked for. */
  readonly names: readonly string[];
  /** Measure them and show them. */
  readonly measure: (say: Say) => Promise<Measured>;
}

/** In the order in which they are measured. */
const KINDS: readonly ((options: Options) => FigureKind)[] = [
  offloads,
  compare,
  parity,
  failover,
  migrate,
  shadow,
  embed,
  claims,
];

/** The kinds of which something was asked for. */
export const furtherKinds = (options: Options): FigureKind[] =>
  KINDS.map((kind) => kind(options)).filter(({ names }) => names.length > 0);

const namesOf = (plans: readonly { readonly name: string }[]): string[] => plans.map(({ name }) => name);
const areSound = (figures: readonly { readonly problem: string | null }[]): boolean =>
  figures.every(({ problem }) => problem === null);

function offloads({ filter, timing }: Options): FigureKind {
  return {
    names: OFFLOAD_NAMES.filter((name) => filter === undefined || filter.test(name)),
    measure: async (say) => {
      const figures = measureOffloads(filter, timing);
      say(`── offloads of a network device, in one thread\n${formatOffloads(figures)}\n`);
      return { json: { offloads: figures }, isSound: true };
    },
  };
}

function compare(options: Options): FigureKind {
  const plans = selectCompare(options);
  return {
    names: namesOf(plans),
    measure: async (say) => {
      const figures = plans.map((plan) => measureCompare(plan, options.quick));
      say(
        `── architectures of network I/O, side by side\n${figures.map(formatCompare).join('\n')}\n${COMPARE_TEXT}\n\n`,
      );
      return { json: { compare: figures }, isSound: true };
    },
  };
}

function parity(options: Options): FigureKind {
  const plans = selectParity(options);
  return {
    names: namesOf(plans),
    measure: async (say) => {
      const figures = plans.map((plan) => measureParity(plan, options.quick));
      say(`── vDPA beside what it is to be as fast as\n${figures.map(formatParity).join('')}${PARITY_TEXT}\n\n`);
      return { json: { parity: figures }, isSound: true };
    },
  };
}

function failover(options: Options): FigureKind {
  const plans = selectFailover(options);
  return {
    names: namesOf(plans),
    measure: async (say) => {
      const figures = [];
      for (const plan of plans) figures.push(await measureFailover(plan, options));
      const text = `${formatFailover(figures)}${wrapText(FAILOVER_TEXT, '· ')}`;
      say(`── a device's thread ends, and another one goes on\n${text}\n\n`);
      return { json: { failover: figures }, isSound: areSound(figures) };
    },
  };
}

function migrate(options: Options): FigureKind {
  const plans = selectMigrate(options);
  return {
    names: namesOf(plans),
    measure: async (say) => {
      const figures = plans.map(() => measureMigrate());
      say(`── a guest moves\n${figures.map(formatMigrate).join('')}${wrapText(MIGRATE_TEXT, '· ')}\n\n`);
      return { json: { migrate: figures }, isSound: areSound(figures) };
    },
  };
}

function shadow(options: Options): FigureKind {
  const plans = selectShadow(options);
  return {
    names: namesOf(plans),
    measure: async (say) => {
      const figures = plans.map((plan) => measureShadow(plan, options.timing));
      say(`── a shadow queue\n${formatShadow(figures)}${wrapText(SHADOW_TEXT, '· ')}\n\n`);
      return { json: { shadow: figures }, isSound: areSound(figures) };
    },
  };
}

/** Each figure is shown when it is there. */
function embed(options: Options): FigureKind {
  const plans = selectV86(options);
  return {
    names: namesOf(plans),
    measure: async (say) => {
      say("── a card in v86: ours beside v86's own\n");
      const problem = v86Problem();
      if (problem !== undefined) {
        say(`  embed/v86: left out, because ${problem}\n\n`);
        return { json: {}, isSound: true };
      }
      const figures = [];
      for (const plan of plans) {
        figures.push(await measureV86(plan, options));
        say(formatV86(figures.at(-1)!));
      }
      say(`${V86_TEXT}\n`);
      return { json: { embed: figures }, isSound: areSound(figures) };
    },
  };
}

/** Each is shown when it is there; what this machine cannot do in time breaks none. */
function claims({ iommu, filter, quick }: Options): FigureKind {
  // Cards with SR-IOV have their functions behind an IOMMU.
  const plans = iommu === 'off' ? [] : selectClaims(filter);
  return {
    names: namesOf(plans),
    measure: async (say) => {
      say('── what is said of cards with SR-IOV, and what is measured\n');
      const figures = [];
      for (const claim of plans) {
        figures.push(await measureClaim(claim, quick));
        say(formatClaim(figures.at(-1)!));
      }
      say('\n');
      return { json: { claims: figures }, isSound: figures.every(({ holds, isWallTime }) => holds || isWallTime) };
    },
  };
}
