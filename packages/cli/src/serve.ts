import { type Command, InvalidArgumentError } from 'commander';
import { NicControl } from './nic-control.js';
import { readNicFile } from './nic-file.js';
import { NicRequests } from './nic-requests.js';
import { integer, type ListenAddress, listenAddress, queuePairs } from './option-values.js';
import { overriding, SERVE_DEFAULTS, type ServeSettings, serveConfig } from './serve-config.js';
import { readServeFile } from './serve-file.js';
import { ServeHttp } from './serve-http.js';
import { type ExitCode, type Terminal, UnusableInput } from './terminal.js';
import { UPLINKS, type UplinkConfig, uplink } from './uplink-option.js';

interface ServeOptions {
  readonly port?: readonly string[];
  readonly vduse?: readonly string[];
  readonly uplink?: readonly (UplinkConfig | undefined)[];
  readonly memory?: number;
  readonly queues?: number;
  readonly queueSize?: number;
  readonly mtu?: number;
  readonly split?: true;
  readonly packed?: true;
  readonly hold?: true;
  readonly connect?: true;
  readonly trace?: string;
  readonly metrics?: ListenAddress;
  readonly config?: string;
  readonly nic?: string;
  readonly control?: string;
  readonly drops?: string;
  readonly audit?: string;
  readonly json?: true;
}

const EXAMPLES = `
Uplinks:
  tap:NAME[,queues=N]                         an interface of this machine, made if there is none; with several queues frames
                                              leave by the one with their pair's number
  vxlan:REMOTE[:PORT],VNI[,local=ADDRESS[:PORT]][,tagged]
                                              a VXLAN tunnel to another machine (RFC 7348), UDP port 4789 at both ends;
                                              frames with a VLAN tag pass with the word "tagged" only
  pcap:FILE[,play=FILE], pcap:play=FILE       frames go to one capture; another is played once all ports run
  none                                        no uplink

The file of --config has the same words, YAML or (*.json) JSON; a port may have its own mac, queues, queueSize, mtu, rings,
hold and connect; one with vduse in place of socket has neither queues nor connect:
  ports:
    - socket: /tmp/a.sock
      mac: 02:00:00:00:00:0a
    - { socket: /tmp/b.sock, rings: packed }
    - { vduse: net0, mtu: 9000 }
  uplinks: [tap:tap0]
  memory: 1024
The file of --nic describes a card with SR-IOV instead, whose virtual functions are the ports, and the physical one if it has a
socket. Besides the words above it has the options' drops and audit, mode (veb or vepa), floating, learning, rules, mirrors, of the
wire speed (Mbit/s), duplex, pause (off, rx, tx or on), highWater, lowWater, pauseTime, cable (metres), paced (false: frames take no
time), hostRate (Mbit/s that the card reads from its host, and writes to it), capture (a pcapng file of all that passes), and of each
function those of "ip link set … vf":
  wire: { speed: 25000, pause: on, cable: 100 }
  pf: { socket: /tmp/pf.sock, mac: "02:00:00:00:00:01" }
  vfs:
    - { socket: /tmp/vf0.sock, mac: "02:00:00:00:00:0a", spoofchk: true, maxTxRate: 1000 }
    - { socket: /tmp/vf1.sock, vlan: 100, qos: 3, trust: false, link: auto, trunk: [100, 200] }
  rules:
    - { name: no telnet, match: { protocol: 6, destinationPort: 23 }, action: drop }
    - { match: { ports: [vf1], etherType: 0x88cc }, action: { mirror: vf0 } }
  uplinks: [tap:tap0]
Its uplinks are plugged into the wire. A function with "vendor: 82599" or "vendor: vendor-b" is on a card of that vendor's, with one
pair of queues, as a vDPA device behind its socket.

An option overrides what the file says of the same matter for all ports; what a port has of its own stays. --uplink replaces the
file's whole list, and --port or --vduse that of its ports.

Examples:
  Two network devices on a switch, and a DPDK that is plugged into both:
    ringwire serve --port /tmp/a.sock --port /tmp/b.sock
    dpdk-testpmd --no-pci --single-file-segments --vdev net_virtio_user0,path=/tmp/a.sock,queue_size=256 \\
      --vdev net_virtio_user1,path=/tmp/b.sock,queue_size=256 -- -i
  A guest in QEMU that reaches this machine through the interface tap0:
    ringwire serve --port /tmp/a.sock --uplink tap:tap0
    ip address add 192.0.2.1/24 dev tap0
    qemu-system-x86_64 … -object memory-backend-memfd,id=m,size=512M,share=on -numa node,memdev=m \\
      -chardev socket,id=c,path=/tmp/a.sock -netdev vhost-user,id=n,chardev=c -device virtio-net-pci,netdev=n
  A network interface of this machine, whose device is here (root; modules vduse and virtio_vdpa):
    ringwire serve --vduse net0 --port /tmp/a.sock
    vdpa dev add name net0 mgmtdev vduse

One front-end at a time may connect to each socket, and another one after it. With --connect it is the front-end that makes the
socket, as QEMU does for "-chardev socket,id=c,path=/tmp/a.sock,server=on". SIGINT or SIGTERM ends.

A VDUSE device has one pair of queues, whatever --queues says. When serve ends, one that is still on the vDPA bus stays there,
and is taken up by the next serve of that name: split rings go on; with packed ones its driver has to be bound anew.
"vdpa dev del NAME" ends either.

Exit code: 0 ended by a signal, 2 a socket or an uplink cannot be made or the options cannot be used.
`;

/** The signals that end `ringwire serve`. */
const SIGNALS = ['SIGINT', 'SIGTERM'] as const;
/** Between two rates. */
const STATUS_MS = 1000;

/** `ringwire serve`: network devices behind vhost-user sockets and in VDUSE, on one switch. */
export function addServe(program: Command, terminal: Terminal, done: (code: ExitCode) => void): void {
  const { memory, queues, queueSize, mtu } = SERVE_DEFAULTS;
  program
    .command('serve')
    .summary(
      'serve network devices to vhost-user front-ends, such as DPDK and QEMU, and to this kernel, on one switch (Linux)',
    )
    .description(
      'Serve one network device per socket to vhost-user front-ends, or per VDUSE device to this kernel. A learning switch joins them.',
    )
    .option('--port <socket>', 'path of a UNIX socket; once per device', another)
    .option(
      '--vduse <name>',
      'a device of this kernel, /dev/vduse/<name>, for "vdpa dev add"; once per device',
      another,
    )
    .option('--uplink <where>', `one more port of the switch: ${UPLINKS}`, anotherUplink)
    .option('--memory <MiB>', `room for the memory of all front-ends; ${memory}`, memorySize)
    .option('--queues <n>', `pairs of queues of a device; ${queues}`, queuePairs)
    .option('--queue-size <n>', `most descriptors of a ring, a power of two; ${queueSize}`, integer)
    .option('--mtu <bytes>', `of devices, and of tap devices; without it devices have ${mtu}`, integer)
    .option('--split', 'offer split rings only')
    .option('--packed', 'serve packed rings only; without these two a front-end has the choice')
    .option('--hold', 'hold a sender up while the receiver has no buffer, rather than drop its frames')
    .option('--connect', 'front-ends listen at the sockets: connect to them, and again when they were gone')
    .option('--trace <file>', 'write every frame to a pcapng file, and why it was dropped')
    .option(
      '--metrics <host:port>',
      'serve /metrics for Prometheus, and /explain; the loopback address for a port alone',
      listenAddress,
    )
    .option('--config <file>', 'read settings from a file')
    .option('--nic <file>', 'serve the virtual functions of a card with SR-IOV that a file describes')
    .option('--control <socket>', 'with --nic: make a UNIX socket for "ringwire nic" and "ringwire why"')
    .option('--drops <file>', 'with --nic: write every frame that the card drops to a pcapng file, and why')
    .option('--audit <file>', 'with --nic: add what is set for the card, and by whom, to a file: JSON, a line a change')
    .option('--json', 'print what happens as JSON, one object a line')
    .addHelpText('after', EXAMPLES)
    .action(async (options: ServeOptions) => {
      await serve(options, terminal);
      done(0);
    });
}

async function serve(options: ServeOptions, terminal: Terminal): Promise<void> {
  const settings = settingsOf(options);
  const config = serveConfig(overriding(settings, settingsOfFile(options)));
  // Only here: what they need of the system exists on Linux alone.
  const { ServedPorts } = await import('./serve-ports.js');
  const { ServeReport } = await import('./serve-report.js');
  const { pagesOf } = await import('./serve-pages.js');
  const report = new ServeReport(terminal, config.json);
  const served = new ServedPorts(config, report);
  const end = (): void => served.close();
  for (const signal of SIGNALS) process.once(signal, end);
  const http = config.metrics === undefined ? undefined : new ServeHttp(pagesOf(served));
  const control = served.card === undefined ? undefined : new NicControl(new NicRequests(served.card, served.audit));
  let timer: NodeJS.Timeout | undefined;
  try {
    const url = config.metrics === undefined ? undefined : await http?.listen(config.metrics);
    if (config.control !== undefined) await control?.listen(config.control);
    report.begin(served, url);
    timer = setInterval(() => report.rates(served), STATUS_MS);
    await served.run();
  } catch (error) {
    served.close();
    throw error;
  } finally {
    clearInterval(timer);
    http?.close();
    control?.close();
    for (const signal of SIGNALS) process.off(signal, end);
  }
  report.finish(served);
}

function settingsOfFile({ config, nic, port, vduse }: ServeOptions): ServeSettings {
  if (nic === undefined) return config === undefined ? {} : readServeFile(config);
  if (config !== undefined || port !== undefined || vduse !== undefined)
    throw new UnusableInput('want --nic without --config, --port and --vduse: its file has all that they say');
  const content = readNicFile(nic);
  return { ...content.settings, nic: content.nic };
}

function settingsOf(options: ServeOptions): ServeSettings {
  const { port, vduse, uplink, split, packed, memory, queues, queueSize } = options;
  const { mtu, hold, connect, trace, metrics, json, control, drops, audit } = options;
  if (split === true && packed === true) throw new UnusableInput('want --split or --packed, not both');
  return {
    ports:
      port === undefined && vduse === undefined
        ? undefined
        : [...(port ?? []).map((socket) => ({ socket })), ...(vduse ?? []).map((name) => ({ vduse: name }))],
    uplinks: uplink?.filter((found) => found !== undefined),
    memory,
    queues,
    queueSize,
    mtu,
    rings: split === true ? 'split' : packed === true ? 'packed' : undefined,
    hold,
    connect,
    trace,
    metrics,
    json,
    control,
    drops,
    audit,
  };
}

function another(path: string, before: readonly string[] = []): readonly string[] {
  return [...before, path];
}

function anotherUplink(
  text: string,
  before: readonly (UplinkConfig | undefined)[] = [],
): readonly (UplinkConfig | undefined)[] {
  return [...before, uplink(text)];
}

function memorySize(text: string): number {
  const size = integer(text);
  if (size < 16 || size > 4095) throw new InvalidArgumentError('Want 16 to 4095 MiB.');
  return size;
}
