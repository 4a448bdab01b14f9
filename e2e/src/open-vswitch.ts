import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestNamespace } from '@ringwire/linux/testing';
import { findProgram, Program } from './program.js';

const SCHEMA = '/usr/share/openvswitch/vswitch.ovsschema';
const DAEMONS = ['ovsdb-server', 'ovs-vswitchd'] as const;

/** Why no Open vSwitch can be run here; undefined when one can. */
export function openVswitchProblem(): string | undefined {
  const missing = [...DAEMONS, 'ovsdb-tool', 'ovs-vsctl'].find((program) => findProgram(program) === undefined);
  if (missing === undefined && existsSync(SCHEMA)) return undefined;
  return `${missing ?? SCHEMA} is not installed (Debian: openvswitch-switch)`;
}

/**
 * An Open vSwitch with its datapath in user space, in a network namespace. It knows nothing of one that the system may
 * run: its database, sockets and logs are files of a directory of ours.
 */
export class OpenVswitch {
  private readonly daemons: Program[] = [];
  private readonly directory: string;
  private readonly namespace: TestNamespace;

  private constructor(directory: string, namespace: TestNamespace) {
    this.directory = directory;
    this.namespace = namespace;
  }

  /** @throws Error, with the last words of a program that ended */
  static async start(directory: string, namespace: TestNamespace): Promise<OpenVswitch> {
    const ovs = new OpenVswitch(directory, namespace);
    const database = join(directory, 'conf.db');
    try {
      await promisify(execFile)('ovsdb-tool', ['create', database, SCHEMA]);
      const server = ovs.begin('ovsdb-server', [database, `--remote=punix:${join(directory, 'db.sock')}`]);
      await server.printed(/ovsdb-server \(Open vSwitch\)/, 0, 'err');
      await ovs.configure('--no-wait', 'init');
      ovs.begin('ovs-vswitchd', [`unix:${join(directory, 'db.sock')}`]);
    } catch (error) {
      await ovs.end();
      throw error;
    }
    return ovs;
  }

  /** `ovs-vsctl`, which waits until what it says is done. */
  async configure(...words: readonly string[]): Promise<void> {
    const database = `--db=unix:${join(this.directory, 'db.sock')}`;
    await promisify(execFile)('ovs-vsctl', [database, '--timeout=60', ...words]);
  }

  async end(): Promise<void> {
    for (const daemon of this.daemons.reverse()) await daemon.kill('SIGTERM');
  }

  private begin(name: (typeof DAEMONS)[number], args: readonly string[]): Program {
    const { directory } = this;
    const places = { OVS_RUNDIR: directory, OVS_LOGDIR: directory, OVS_DBDIR: directory, OVS_SYSCONFDIR: directory };
    const own = ['--no-chdir', '-vconsole:info', `--unixctl=${join(directory, `${name}.ctl`)}`];
    const daemon = this.namespace.inside(() => new Program(name, [...args, ...own], places));
    this.daemons.push(daemon);
    return daemon;
  }
}
