import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { done, libc } from '../libc.js';

const calls = {
  unshare: libc.func('int unshare(int)'),
  setns: libc.func('int setns(int, int)'),
} as const;
const CLONE_NEWNET = 0x4000_0000;
/** Of iproute2. */
const IP = 'ip';
const OWN = '/proc/thread-self/ns/net';

/**
 * A network namespace of a test's own. What a thread opens while it is inside stays there, and so do programs that it
 * starts; it ends when nothing is left in it. For a test's main thread.
 */
export class TestNamespace {
  private readonly fd: number;

  /** @throws SystemError without the right to */
  constructor() {
    const before = openSync(OWN, 'r');
    done('unshare', calls.unshare(CLONE_NEWNET) as number);
    this.fd = openSync(OWN, 'r');
    enter(before);
    closeSync(before);
  }

  /** Do something inside. */
  inside<T>(act: () => T): T {
    const before = openSync(OWN, 'r');
    enter(this.fd);
    try {
      return act();
    } finally {
      enter(before);
      closeSync(before);
    }
  }

  /** As {@link inside}, for something that takes its time: so does whatever else the thread does meanwhile. */
  async during<T>(act: () => Promise<T>): Promise<T> {
    const before = openSync(OWN, 'r');
    enter(this.fd);
    try {
      return await act();
    } finally {
      enter(before);
      closeSync(before);
    }
  }

  /** Run `ip` with these words inside. @returns what it printed. @throws Error when it fails */
  ip(words: string): string {
    const { status, stdout, stderr, error } = this.inside((): SpawnSyncReturns<string> => {
      return spawnSync(IP, words.split(' '), { encoding: 'utf8' });
    });
    if (status !== 0) throw new Error(`ip ${words}: ${error?.message ?? stderr}`);
    return stdout;
  }

  /** For the `netns` of another namespace's `ip`: a path that names this one while it is open. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.fd}`;
  }

  close(): void {
    closeSync(this.fd);
  }
}

function enter(namespace: number): void {
  done('setns', calls.setns(namespace, CLONE_NEWNET) as number);
}

/** Why there can be no network namespaces, or no such devices in them; undefined when there can. */
export function namespaceProblem(...devices: ('tap' | 'veth' | 'vxlan')[]): string | undefined {
  let namespace: TestNamespace;
  try {
    namespace = new TestNamespace();
  } catch (error) {
    return `no network namespace can be made (${error instanceof Error ? error.message : error})`;
  }
  try {
    for (const device of devices) namespace.ip(PROBES[device]);
    return undefined;
  } catch (error) {
    return `${error instanceof Error ? error.message.trim() : error}`;
  } finally {
    namespace.close();
  }
}

const PROBES = {
  tap: 'tuntap add probe0 mode tap',
  veth: 'link add probe1 type veth peer name probe2',
  vxlan: 'link add probe3 type vxlan id 7 dstport 4789 remote 192.0.2.1 dev lo',
} as const;
