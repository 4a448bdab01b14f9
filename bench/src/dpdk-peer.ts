import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Layout, PEER_QUEUE_SIZE } from './case-plan.js';
import { childSeconds, watchOthers } from './cpu-share.js';
import { complaint, steady, TestpmdOutput } from './dpdk-output.js';
import { coresOf, freeHugeBytes, type Machine, procFile } from './machine.js';
import { median } from './statistics.js';

/** MiB of huge pages that each of the two processes takes: enough for its mbufs. */
const MEMORY_MIB = 128;
const MBUFS = 8192;
const START_MS = 10_000;
const END_MS = 5000;
const POLL_MS = 20;

export interface PeerResult {
  readonly mpps: number;
  /** Mpps of each sample. */
  readonly samples: readonly number[];
  readonly otherCores: number | undefined;
}

/** How long the pair is watched. */
export interface PeerTiming {
  readonly sampleMs: number;
  readonly samples: number;
}

export class PeerFailure extends Error {
  override readonly name = 'PeerFailure';
}

/** Why DPDK can't stand beside on this machine, and what would help; undefined when it can. Nothing is changed. */
export function peerProblem(machine: Machine, meminfo: string = procFile('meminfo')): string | undefined {
  if (machine.dpdk === null) return 'no dpdk-testpmd on PATH; get it with: apt-get install dpdk dpdk-dev';
  const wanted = 2 * MEMORY_MIB;
  const free = freeHugeBytes(meminfo) / 2 ** 20;
  if (free < wanted)
    return `${free} MiB of huge pages free, want ${wanted}; get them with: echo 512 > /proc/sys/vm/nr_hugepages`;
  if (allowedCores().length < 2) return 'one core only: each of the two processes needs its own';
  return undefined;
}

/** The pair's command lines, for the report. */
export const peerText: string =
  `dpdk-testpmd, virtio-user txonly → vhost rxonly, ring of ${PEER_QUEUE_SIZE}, one core each: ` +
  'copies every frame once, compares nothing';

/**
 * Run DPDK's own driver against DPDK's own device and ask the receiver how many frames come in.
 * @param program the dpdk-testpmd to run
 * @throws PeerFailure when one of them does not start, or nothing arrives
 */
export async function measurePeer(
  program: string,
  layout: Layout,
  bytes: number,
  timing: PeerTiming,
): Promise<PeerResult> {
  const directory = mkdtempSync(join(tmpdir(), 'ringwire-bench-'));
  const removeDirectory = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', removeDirectory);
  const [first, second] = allowedCores();
  const socket = join(directory, 'vhost.sock');
  const packed = layout === 'packed' ? 1 : 0;
  const running: Testpmd[] = [];
  try {
    // One after the other: the receiver's socket has to be there when the sender looks for it.
    const receiver = new Testpmd(program, directory, 'rx', [first!, second!], `net_vhost0,iface=${socket},queues=1`, [
      '--forward-mode=rxonly',
    ]);
    running.push(receiver);
    await receiver.started();
    const device = `net_virtio_user0,path=${socket},queues=1,queue_size=${PEER_QUEUE_SIZE},packed_vq=${packed}`;
    const sender = new Testpmd(program, directory, 'tx', [second!, first!], device, [
      '--forward-mode=txonly',
      `--txpkts=${bytes}`,
    ]);
    running.push(sender);
    await sender.started();
    return await watch(receiver, sender, timing);
  } finally {
    await Promise.all(running.map((testpmd) => testpmd.end()));
    process.off('exit', removeDirectory);
    removeDirectory();
  }
}

/** Ask for figures in between, and read them when both have ended: until then they wait in testpmd's own buffer. */
async function watch(receiver: Testpmd, sender: Testpmd, timing: PeerTiming): Promise<PeerResult> {
  const others = watchOthers();
  const used = receiver.seconds() + sender.seconds();
  // The first answer has no earlier one to count from, and the second interval has the start in it.
  for (let shown = 0; shown < timing.samples + 2; shown++) {
    receiver.checkAlive();
    sender.checkAlive();
    receiver.command('show port stats 0');
    await sleep(timing.sampleMs);
  }
  const otherCores = others(receiver.seconds() + sender.seconds() - used);
  await Promise.all([sender.end(), receiver.end()]);
  const samples = steady(receiver.output.rxPps).map((pps) => pps / 1e6);
  if (samples.length === 0) throw new PeerFailure(`no frames arrive: ${complaint(receiver.text)}`);
  return { mpps: median(samples), samples, otherCores };
}

/** One testpmd. Its huge pages have no files and its runtime files are in our directory: nothing outlives it. */
class Testpmd {
  readonly output: TestpmdOutput = new TestpmdOutput();
  text = '';
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly ended: Promise<void>;
  private alive = true;

  constructor(
    program: string,
    directory: string,
    prefix: string,
    cores: readonly [number, number],
    vdev: string,
    more: readonly string[],
  ) {
    const eal = ['--no-pci', '--in-memory', '--no-telemetry', '--single-file-segments', '-m', `${MEMORY_MIB}`];
    // The main lcore only reads commands; lcore 1 forwards.
    const place = ['--lcores', `0@${cores[0]},1@${cores[1]}`, `--file-prefix=${prefix}`, '--vdev', vdev];
    const application = ['--', '-i', '--auto-start', `--total-num-mbufs=${MBUFS}`, ...more];
    this.child = spawn(program, [...eal, ...place, ...application], {
      env: { ...process.env, RUNTIME_DIRECTORY: directory },
    });
    const kill = (): void => void this.child.kill('SIGKILL');
    process.once('exit', kill);
    this.ended = new Promise((resolve) => {
      const finish = (): void => {
        this.alive = false;
        process.off('exit', kill);
        resolve();
      };
      this.child.once('close', finish);
      this.child.once('error', (error) => {
        this.text += `\n${error.message}`;
        finish();
      });
    });
    // A command that comes too late for a process that just ended is no fault of its own.
    this.child.stdin.on('error', () => undefined);
    for (const stream of [this.child.stdout, this.child.stderr]) stream.setEncoding('latin1');
    this.child.stdout.on('data', (piece: string) => {
      this.text += piece;
      this.output.push(piece);
    });
    this.child.stderr.on('data', (piece: string) => {
      this.text += piece;
    });
  }

  /** Wait for the first prompt. */
  async started(): Promise<void> {
    const deadline = performance.now() + START_MS;
    while (this.output.prompts === 0) {
      this.checkAlive();
      if (performance.now() > deadline) throw new PeerFailure(`did not start: ${complaint(this.text)}`);
      await sleep(POLL_MS);
    }
  }

  checkAlive(): void {
    if (!this.alive) throw new PeerFailure(`ended early: ${complaint(this.text)}`);
  }

  command(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  seconds(): number {
    return this.child.pid === undefined ? 0 : childSeconds(this.child.pid);
  }

  /** Ask it to quit, and end it by its own id if it doesn't. */
  async end(): Promise<void> {
    if (this.alive) this.child.stdin.end('quit\n');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), END_MS);
    await this.ended;
    clearTimeout(timer);
  }
}

function allowedCores(): number[] {
  const list = /^Cpus_allowed_list:\s+(\S+)/m.exec(procFile('self/status'))?.[1];
  return list === undefined ? [] : coresOf(list);
}
