import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Layout, PEER_QUEUE_SIZE } from './case-plan.js';
import { watchOthers } from './cpu-share.js';
import { complaint, steady } from './dpdk-output.js';
import type { PeerTiming } from './dpdk-peer.js';
import { median } from './statistics.js';
import { allowedCores, PeerFailure, Testpmd } from './testpmd.js';
import type { VhostServerFigures } from './vhost-job.js';
import { VhostProcess } from './vhost-process.js';

/** What of vhost-user is measured. */
export interface VhostPlan {
  /** Such as `peer/vhost-user/split/64`. */
  readonly name: string;
  readonly layout: Layout;
  readonly bytes: number;
  /** Between two sockets, rather than into one. */
  readonly forwards: boolean;
}

/** What one side was seen to do. */
export interface VhostRun {
  readonly mpps: number;
  readonly samples: readonly number[];
  readonly otherCores: number | undefined;
  /** Of our own process, for each front-end: bytes that it took while it was connected, beside its own memory. */
  readonly bytesPerGuest?: number;
  /** What was wrong with the frames, or with their number. */
  readonly problem?: string;
}

/** Frames that a testpmd with two ports has sent round when it starts: as many as its rings hold with room to spare. */
const BURSTS_ROUND = 4;
/** Between start and the first sample of ours: until its code is compiled. */
const WARM_MS = 700;
/** For devices to have taken up what their driver said. */
const SETTLE_MS = 500;
const POLL_MS = 20;
const START_MS = 30_000;

/** DPDK's driver into devices of ours. @throws PeerFailure where something does not start, or nothing arrives */
export async function runOurs(program: string, plan: VhostPlan, timing: PeerTiming): Promise<VhostRun> {
  return await within(async (directory) => {
    const [first, second] = allowedCores();
    const paths = socketsOf(plan, directory);
    const server = new VhostProcess();
    let front: Testpmd | undefined;
    try {
      const before = await server.tell({ type: 'serve', paths, core: second!, bytes: plan.bytes });
      front = frontEnd(program, directory, plan, paths, [second!, first!]);
      await begin(front, plan);
      await firstFrame(server, front);
      await sleep(WARM_MS);
      const others = watchOthers();
      const used = server.seconds() + front.seconds();
      const shown = [await server.tell({ type: 'ask' })];
      for (let sample = 0; sample < timing.samples; sample++) {
        await sleep(timing.sampleMs);
        front.checkAlive();
        shown.push(await server.tell({ type: 'ask' }));
      }
      const otherCores = others(server.seconds() + front.seconds() - used);
      await front.end();
      const last = await server.tell({ type: 'ask' });
      const samples = shown.slice(1).map((figures, at) => ratePerUsec(shown[at]!, figures));
      // Frames on their way round when the first of the two ports is closed are lost with it, by right.
      const problem = plan.forwards ? shown.at(-1)!.problem : (last.problem ?? missing(front, last));
      return {
        mpps: median(samples),
        samples,
        otherCores,
        bytesPerGuest: (shown.at(-1)!.ownBytes - before.ownBytes) / paths.length,
        ...(problem === undefined || problem === null ? {} : { problem }),
      };
    } finally {
      await front?.end();
      await server.end();
    }
  });
}

/** The same driver into DPDK's own vhost devices. */
export async function runTheirs(program: string, plan: VhostPlan, timing: PeerTiming): Promise<VhostRun> {
  return await within(async (directory) => {
    const [first, second] = allowedCores();
    const paths = socketsOf(plan, directory);
    const running: Testpmd[] = [];
    try {
      const back = new Testpmd({
        program,
        directory,
        prefix: 'back',
        cores: [first!, second!],
        vdevs: paths.map((path, index) => `net_vhost${index},iface=${path},queues=1`),
        more: ['--auto-start', `--forward-mode=${plan.forwards ? 'io' : 'rxonly'}`],
      });
      running.push(back);
      await back.started();
      const front = frontEnd(program, directory, plan, paths, [second!, first!]);
      running.push(front);
      await begin(front, plan);
      const others = watchOthers();
      const used = back.seconds() + front.seconds();
      // The first answer has no earlier one to count from, and the second interval has the start in it.
      for (let shown = 0; shown < timing.samples + 2; shown++) {
        for (const testpmd of running) testpmd.checkAlive();
        back.command(`show port stats ${plan.forwards ? 'all' : '0'}`);
        await sleep(timing.sampleMs);
      }
      const otherCores = others(back.seconds() + front.seconds() - used);
      await Promise.all(running.map((testpmd) => testpmd.end()));
      const samples = steady(summed(back.output.rxPps, paths.length)).map((pps) => pps / 1e6);
      if (samples.length === 0) throw new PeerFailure(`no frames arrive: ${complaint(back.text)}`);
      return { mpps: median(samples), samples, otherCores };
    } finally {
      await Promise.all(running.map((testpmd) => testpmd.end()));
    }
  });
}

function socketsOf({ forwards }: VhostPlan, directory: string): string[] {
  return (forwards ? ['a', 'b'] : ['a']).map((name) => join(directory, `${name}.sock`));
}

/** Its ports have each other's addresses, so that what it sends on one is for the other. */
function frontEnd(
  program: string,
  directory: string,
  { layout, bytes, forwards }: VhostPlan,
  paths: readonly string[],
  cores: readonly [number, number],
): Testpmd {
  const ring = `queues=1,queue_size=${PEER_QUEUE_SIZE},packed_vq=${layout === 'packed' ? 1 : 0}`;
  const vdevs = paths.map(
    (path, index) => `net_virtio_user${index},path=${path},${ring},mac=02:00:00:00:00:0${paths.length - 1 - index}`,
  );
  const more = forwards ? ['--forward-mode=io'] : ['--auto-start', '--forward-mode=txonly'];
  return new Testpmd({ program, directory, prefix: 'front', cores, vdevs, more: [...more, `--txpkts=${bytes}`] });
}

async function begin(front: Testpmd, { forwards }: VhostPlan): Promise<void> {
  await front.started();
  if (!forwards) return;
  // What is sent round is gone if one of the devices does not run yet.
  await sleep(SETTLE_MS);
  front.command(`start tx_first ${BURSTS_ROUND}`);
}

async function firstFrame(server: VhostProcess, front: Testpmd): Promise<void> {
  const deadline = performance.now() + START_MS;
  while ((await server.tell({ type: 'ask' })).frames === 0) {
    front.checkAlive();
    if (performance.now() > deadline) throw new PeerFailure(`no frames arrive: ${complaint(front.text)}`);
    await sleep(POLL_MS);
  }
}

const ratePerUsec = (from: VhostServerFigures, to: VhostServerFigures): number =>
  (to.frames - from.frames) / ((to.at - from.at) * 1000);

/** Each answer has a figure per port. */
function summed(pps: readonly number[], ports: number): number[] {
  return Array.from({ length: Math.floor(pps.length / ports) }, (_, answer) =>
    pps.slice(answer * ports, (answer + 1) * ports).reduce((sum, each) => sum + each, 0),
  );
}

/** All that was sent came, but for what was in the ring when the sender stopped. */
function missing(front: Testpmd, { frames }: VhostServerFigures): string | undefined {
  const sent = Number(/TX-packets: (\d+)/.exec(front.text)?.[1] ?? Number.NaN);
  const difference = sent - frames;
  if (difference >= 0 && difference <= PEER_QUEUE_SIZE) return undefined;
  return `${sent} frames were sent and ${frames} came`;
}

async function within<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'ringwire-bench-'));
  const remove = (): void => rmSync(directory, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    return await use(directory);
  } finally {
    process.off('exit', remove);
    remove();
  }
}
