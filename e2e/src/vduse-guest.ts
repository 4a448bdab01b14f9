import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { type CpioEntry, DIRECTORY, PROGRAM } from '../../examples/v86/src/cpio.js';
import { sourceAliases } from '../../tools/source-aliases.mjs';
import { type GuestImage, makeGuestImage, VDUSE_PARTS } from './guest-image.js';
import { guestProblem, LinuxGuest } from './linux-guest.js';
import { findProgram } from './program.js';
import { answered, makeFile } from './traffic.js';

/** `vdpa` comes with iproute2. */
const VDPA = 'vdpa';
/** Says which libraries a program wants. */
const LDD = 'ldd';
/** Where the command line is in a guest. */
const RINGWIRE = 'node /ringwire/dist/main.mjs';
const CONFIG_FILE = '/ringwire/serve.yaml';
const MODULES = ['vduse', 'virtio_vdpa', 'virtio_net', 'tun'] as const;
/** Node and its libraries twice, as the archive and unpacked, and what Node runs in. */
const MEMORY_MIB = 768;
const cli = new URL('../../packages/cli/', import.meta.url);

/** The machine's own end of the switch, in the network of {@link addressOf}. */
const HOST = '10.0.0.1';
/** Devices, by the rings that they offer alone, which is their name too. */
const DEVICES = {
  split: { mac: '02:00:00:00:00:01', address: '10.0.0.2' },
  packed: { mac: '02:00:00:00:00:02', address: '10.0.0.3' },
} as const;
export type VduseName = keyof typeof DEVICES;

/** Both on a switch, whose third port is an interface of the same kernel. */
const CONFIG = `ports:
  - { vduse: split, rings: split, mac: "${DEVICES.split.mac}" }
  - { vduse: packed, rings: packed, mac: "${DEVICES.packed.mac}" }
uplinks: [tap:tap0]
memory: 256
metrics: 9100
`;
/** What a guest's commands say there, one after the other. */
const SAID = '/tmp/said';

/** Why no guest can serve devices to its own kernel here; undefined when one can. */
export function vduseProblem(): string | undefined {
  return (
    guestProblem(VDUSE_PARTS) ??
    (findProgram(VDPA) === undefined ? `${VDPA} is not installed (Debian: iproute2)` : undefined)
  );
}

/**
 * A guest that is its own peer: `ringwire serve` in it serves two devices to its own kernel, and each of their interfaces is put
 * into a network of its own, so that what is sent to the other end goes through the switch.
 */
export class VduseGuest {
  readonly linux: LinuxGuest;

  constructor(directory: string, image: GuestImage) {
    // QEMU 7.2 spoils the flags of an instruction that newer kernels use where there is one, cmpxchg16b. V8 wants SSE 4.1.
    const machine = { processor: 'qemu64,-cx16,+ssse3,+sse4.1', processors: 2, memoryMiB: MEMORY_MIB };
    this.linux = new LinuxGuest({ name: 'guest', directory, image, nics: [], ...machine });
  }

  async booted(): Promise<void> {
    await this.linux.booted();
    await this.linux.run('ip link set lo up; httpd -h /tmp');
  }

  /** Begin to serve, and be there when devices can be plugged in. */
  async serve(): Promise<void> {
    await this.linux.run(`: > ${SAID}; (${RINGWIRE} serve --config ${CONFIG_FILE} 2> ${SAID} > /dev/null &)`);
    await this.said('2 ports are served');
    await this.linux.run(`ip address add ${HOST}/24 dev tap0`);
  }

  /**
   * Wait for a line that the process has said since it began.
   * @returns the last such line
   * @throws Error, with what it said, when it ends without
   */
  async said(beginning: string): Promise<string> {
    const wait = `until grep -q '${beginning}' ${SAID}; do pidof node > /dev/null || break; usleep 50000; done`;
    const line = await this.linux.run(
      `${wait}; grep '${beginning}' ${SAID} | tail -n 1 | grep . || { cat ${SAID}; false; }`,
    );
    return line.trimEnd();
  }

  async plug(name: VduseName): Promise<void> {
    await this.linux.run(`vdpa dev add name ${name} mgmtdev vduse`);
  }

  async unplug(name: VduseName): Promise<void> {
    await this.linux.run(`vdpa dev del ${name}`);
  }

  /** Have the driver let go of a device, and take it again. */
  async bindAgain(name: VduseName): Promise<void> {
    const driver = '/sys/bus/vdpa/drivers/virtio_vdpa';
    await this.linux.run(`echo ${name} > ${driver}/unbind; echo ${name} > ${driver}/bind`);
  }

  /** Put a device's interface into a network of its own, with its address. */
  async join(name: VduseName): Promise<void> {
    const { mac, address } = DEVICES[name];
    const network = `/tmp/network-${name}`;
    await this.linux.run(
      `[ -e ${network} ] || { unshare -n sh -c 'echo $$ > ${network}; exec sleep 1000000' & until [ -s ${network} ]; do usleep 10000; done; }`,
    );
    await this.linux.run(
      `set -- $(grep -l ${mac} /sys/class/net/*/address | cut -d / -f 5); ip link set $1 netns $(cat ${network}); ` +
        `nsenter -t $(cat ${network}) -n sh -c "ip address add ${address}/24 dev $1; ip link set $1 up"`,
    );
  }

  /** @returns how many of five pings were answered, once one was */
  async pings(name: VduseName): Promise<number> {
    const { address } = DEVICES[name];
    await this.linux.run(`for i in $(seq 30); do ping -c 1 -W 1 ${address} > /dev/null && break; done`);
    return answered(await this.linux.run(`ping -c 5 -i 0.1 -W 5 ${address} || true`));
  }

  /** Fetch a file from the machine's end, and back. @returns its digest, and those of what came */
  async transfer(name: VduseName, bytes: number): Promise<[string, string[]]> {
    const sent = await makeFile(this.linux, bytes);
    const there = await this.inside(name, `wget -q -O - http://${HOST}/file | sha256sum`);
    await this.inside(name, `cp /tmp/file /tmp/back-${name}; httpd -h /tmp`);
    const back = await this.linux.run(`wget -q -O - http://${DEVICES[name].address}/back-${name} | sha256sum`);
    return [sent, [there, back].map((said) => said.slice(0, 64))];
  }

  /** There when a part of a file has come. @returns its digest */
  async beginTransfer(name: VduseName, bytes: number): Promise<string> {
    const digest = await makeFile(this.linux, bytes);
    await this.inside(name, `(wget -q -O - http://${HOST}/file > /tmp/got; echo $? > /tmp/ended) > /dev/null 2>&1 &`);
    await this.linux.run('until [ -s /tmp/got ]; do usleep 10000; done; [ ! -e /tmp/ended ]');
    return digest;
  }

  /** @returns the digest of what came in the end */
  async endTransfer(): Promise<string> {
    return (await this.linux.run('until [ -s /tmp/ended ]; do usleep 50000; done; sha256sum < /tmp/got')).slice(0, 64);
  }

  /** What the process answers over HTTP. */
  async page(path: string): Promise<string> {
    return this.linux.run(`wget -q -O - http://127.0.0.1:9100${path}`);
  }

  /** At once, as a process ends that has a mistake. */
  async killServer(): Promise<void> {
    await this.linux.run('kill -9 $(pidof node); while pidof node > /dev/null; do usleep 10000; done');
  }

  /** As an operator ends it. */
  async endServer(): Promise<void> {
    await this.linux.run('kill $(pidof node); while pidof node > /dev/null; do usleep 10000; done');
  }

  /** What a `ringwire serve` says that cannot be, beside the one that serves. */
  async refusal(...args: readonly string[]): Promise<string> {
    return this.linux.run(`${RINGWIRE} serve --memory 64 ${args.join(' ')} 2>&1; [ $? = 2 ]`);
  }

  async kill(): Promise<void> {
    await this.linux.kill();
  }

  private async inside(name: VduseName, line: string): Promise<string> {
    return this.linux.run(`nsenter -t $(cat /tmp/network-${name}) -n sh -c '${line}'`);
  }
}

/** An image with Node, our command line in one file, the system calls' library, and `vdpa`. */
export async function makeVduseImage(directory: string): Promise<GuestImage> {
  const programs = [process.execPath, findProgram(VDPA)!];
  const koffi = koffiFiles();
  const libraries = new Set(
    [...programs, ...koffi.map(({ from }) => from).filter((path) => path.endsWith('.node'))].flatMap(librariesOf),
  );
  const files = [
    ...programs.map((path) => ({ to: `bin/${path.split('/').at(-1)}`, bytes: readFileSync(path) })),
    ...Array.from(libraries, (path) => ({ to: path.slice(1), bytes: readFileSync(path) })),
    ...koffi.map(({ from, to }) => ({ to: `ringwire/node_modules/${to}`, bytes: readFileSync(from) })),
    { to: 'ringwire/dist/main.mjs', bytes: await bundle() },
    { to: 'ringwire/package.json', bytes: readFileSync(new URL('package.json', cli)) },
    { to: CONFIG_FILE.slice(1), bytes: Buffer.from(CONFIG) },
  ];
  const entries = files.map(({ to, bytes }): CpioEntry => ({ path: to, mode: PROGRAM, bytes }));
  return makeGuestImage(directory, {
    modules: MODULES,
    parts: VDUSE_PARTS,
    files: [...directoriesOf(entries), ...entries],
  });
}

/** The command line and all that it imports but the library with code of the machine's. */
async function bundle(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('src/main.ts', cli))],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'node20',
    platform: 'node',
    external: ['koffi'],
    alias: sourceAliases(),
    // Packages of the older kind call for Node's own modules.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  });
  return outputFiles[0]!.contents;
}

/** What of the system calls' library is needed to run. */
function koffiFiles(): { from: string; to: string }[] {
  const require = createRequire(import.meta.url);
  const main = dirname(require.resolve('koffi'));
  const machine = `@koromix/koffi-linux-${process.arch}`;
  const native = join(dirname(realpathSync(main)), machine);
  const of = (folder: string, name: string, paths: readonly string[]): { from: string; to: string }[] =>
    paths.map((path) => ({ from: join(folder, path), to: `${name}/${path}` }));
  return [
    ...of(main, 'koffi', ['package.json', ...scriptsIn(main)]),
    ...of(native, machine, ['package.json', 'index.js', `linux_${process.arch}/koffi.node`]),
  ];
}

function scriptsIn(folder: string): string[] {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => path.endsWith('.js'));
}

/** A program's shared libraries, and what loads them. */
function librariesOf(path: string): string[] {
  const said = execFileSync(LDD, [path], { encoding: 'latin1' });
  return Array.from(said.matchAll(/(?:=> |^\s*)(\/\S+) \(/gm), ([, library]) => library!);
}

/** All that paths lie in, outer ones first, but for those that every guest has. */
function directoriesOf(entries: readonly CpioEntry[]): CpioEntry[] {
  const found = new Set<string>();
  for (const { path } of entries) {
    const parts = path.split('/').slice(0, -1);
    for (let count = 1; count <= parts.length; count++) found.add(parts.slice(0, count).join('/'));
  }
  found.delete('bin');
  return Array.from(found, (path) => ({ path, mode: DIRECTORY }));
}
