import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Layout, PEER_QUEUE_SIZE } from './case-plan.js';
import { watchOthers } from './cpu-share.js';
import { complaint, steady } from './dpdk-output.js';
import { freeHugeBytes, type Machine, procFile } from './machine.js';
import { median } from './statistics.js';
import { allowedCores, PeerFailure, TESTPMD_MIB, Testpmd } from './testpmd.js';

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

/** Why DPDK can't stand beside on this machine, and what would help; undefined when it can. Nothing is changed. */
export function peerProblem(machine: Machine, meminfo: string = procFile('meminfo')): string | undefined {
  if (machine.dpdk === null) return 'no dpdk-testpmd on PATH; get it with: apt-get install dpdk dpdk-dev';
  const wanted = 2 * TESTPMD_MIB;
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
    const receiver = new Testpmd({
      program,
      directory,
      prefix: 'rx',
      cores: [first!, second!],
      vdevs: [`net_vhost0,iface=${socket},queues=1`],
      more: ['--auto-start', '--forward-mode=rxonly'],
    });
    running.push(receiver);
    await receiver.started();
    const sender = new Testpmd({
      program,
      directory,
      prefix: 'tx',
      cores: [second!, first!],
      vdevs: [`net_virtio_user0,path=${socket},queues=1,queue_size=${PEER_QUEUE_SIZE},packed_vq=${packed}`],
      more: ['--auto-start', '--forward-mode=txonly', `--txpkts=${bytes}`],
    });
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
