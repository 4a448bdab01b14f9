import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  backendNames,
  type CertifyOptions,
  cellLine,
  cellStatements,
  certificateJunit,
  certificateText,
  certify,
  type DriverModule,
  isModuleRefusal,
  loadDriver,
  scenarioNames,
} from '@ringwire/certify';
import { type Command, InvalidArgumentError } from 'commander';
import { OutputFile } from './output-file.js';
import { type ExitCode, type Terminal, UnusableInput } from './terminal.js';

interface CertifyFlags {
  readonly backend?: readonly string[];
  readonly rings?: 'split' | 'packed';
  readonly iommu?: boolean;
  readonly scenario?: readonly string[];
  readonly strict?: true;
  readonly statements?: true;
  readonly json?: string | true;
  readonly junit?: string;
}

/** The drivers of this project, by the names that a command line has for them. */
const OWN: Readonly<Record<string, string>> = {
  kernel: '@ringwire/certify/drivers/kernel',
  poll: '@ringwire/certify/drivers/poll',
};

const EXAMPLES = `
A driver's module exports openDriver(machine): @ringwire/certify says what it is given and returns.

Backends:  ${backendNames.join(', ')}
Scenarios: ${scenarioNames.join(', ')}

Examples:
  ringwire certify kernel
  ringwire certify ./my-driver.mjs --backend pci mmio --junit certificate.xml --json certificate.json
  ringwire certify ./my-driver.mjs --rings packed --scenario traffic --strict

Exit code: 0 when every cell that could run passed; 1 when one failed, or none could run; 2 when the driver cannot be loaded.
`;

/** `ringwire certify`: one guest driver over every backend. */
export function addCertify(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  program
    .command('certify')
    .argument('<driver>', 'a module that exports openDriver, or kernel or poll: the drivers of this project')
    .summary('certify a guest driver over all backends, rings, IOMMU settings and vendors')
    .description('Run a guest driver over every backend, and say which statements of virtio 1.4 it breaks.')
    .option('--backend <names...>', 'only these backends')
    .option('--rings <format>', 'only split or packed rings', rings)
    .option('--iommu', 'only behind an IOMMU')
    .option('--no-iommu', 'only without an IOMMU')
    .option('--scenario <names...>', 'only these scenarios')
    .option('--strict', 'what the specification only recommends fails, too')
    .option('--statements', 'list for each cell which statements were kept, broken, and not reached')
    .option('--json [file]', 'write the certificate as JSON; without a file instead of the text')
    .option('--junit <file>', 'write it as JUnit XML')
    .addHelpText('after', EXAMPLES)
    .action(async (name: string, flags: CertifyFlags) => {
      const driver = await openModule(name);
      const isText = flags.json !== true;
      const certificate = await certify(driver, {
        ...optionsOf(flags),
        onCell: (cell) => {
          if (!isText) return;
          terminal.out(`${cellLine(cell)}\n`);
          if (flags.statements === true) terminal.out(cellStatements(cell));
        },
      });
      const json = `${JSON.stringify(certificate, null, 2)}\n`;
      if (typeof flags.json === 'string') write(flags.json, json);
      if (flags.junit !== undefined) write(flags.junit, certificateJunit(certificate));
      terminal.out(isText ? certificateText(certificate) : json);
      done(certificate.passed ? 0 : 1);
    });
}

function optionsOf({ backend, rings: format, iommu, scenario, strict }: CertifyFlags): CertifyOptions {
  return {
    ...(backend === undefined ? {} : { backends: backend }),
    ...(format === undefined ? {} : { rings: [format] }),
    ...(iommu === undefined ? {} : { iommu: [iommu] }),
    ...(scenario === undefined ? {} : { scenarios: scenario }),
    ...(strict === undefined ? {} : { strict }),
  };
}

/** @throws UnusableInput when there is no such module, or it is no driver's */
async function openModule(name: string): Promise<DriverModule> {
  const loaded = await loadDriver(OWN[name] ?? pathToFileURL(resolve(name)).href);
  if (isModuleRefusal(loaded)) throw new UnusableInput(loaded.message);
  return loaded;
}

function rings(text: string): 'split' | 'packed' {
  if (text !== 'split' && text !== 'packed') throw new InvalidArgumentError('Want split or packed.');
  return text;
}

function write(path: string, text: string): void {
  const file = new OutputFile(path);
  file.write(new TextEncoder().encode(text));
  file.close();
}
