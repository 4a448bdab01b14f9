/**
 * Workers of Node and of browsers, as the two ends of a device's thread see them. Node's are found without an import, so
 * that bundlers for browsers have nothing to resolve.
 */
export interface ThreadWorker {
  post(message: unknown): void;
  terminate(): void;
}

/** What becomes of a worker. */
export interface WorkerEvents {
  message(value: unknown): void;
  /** It ended, or cannot go on: behind all that it said. A browser may say so more than once. */
  ended(reason: string): void;
  /**
   * It runs nothing any more, and all that it said was heard; once. Node says so milliseconds before `ended`. A browser says so
   * for what was terminated, and may be early.
   */
  gone?(): void;
}

/** Makes a worker that runs the module at an address, and tells of its end. */
export type SpawnWorker = (url: URL, events: WorkerEvents) => ThreadWorker;

/** A worker's own end. */
export interface WorkerPort {
  post(message: unknown): void;
  /** Called with the first message alone: afterwards this thread has no event loop any more. */
  onFirstMessage(call: (message: unknown) => void): void;
  /** Called with every message: for a thread that keeps its event loop. */
  onMessage(call: (message: unknown) => void): void;
  /** Called when the thread exits in the middle of what it does, with its exit code. Browsers have no such thing. */
  onExit(call: (code: number) => void): void;
  close(): void;
}

interface NodePort {
  postMessage(message: unknown): void;
  once(event: 'message', call: (value: unknown) => void): void;
  on(event: 'message' | 'close', call: (value: unknown) => void): void;
  unref(): void;
}

interface NodeWorker {
  terminate(): Promise<number>;
  on(event: string, call: (value: unknown) => void): void;
}

/** What a worker of ours is given when it is made. */
interface WorkerData {
  readonly port: NodePort;
}

interface NodeThreads {
  readonly Worker: new (url: URL, options: { workerData: WorkerData; transferList: readonly NodePort[] }) => NodeWorker;
  readonly MessageChannel: new () => { readonly port1: NodePort; readonly port2: NodePort };
  readonly parentPort: unknown;
  readonly workerData: WorkerData;
}

interface Process {
  getBuiltinModule?(id: string): unknown;
  on(event: 'exit', call: (code: number) => void): void;
}

const { process } = globalThis as unknown as { readonly process?: Process };

function nodeThreads(): NodeThreads | undefined {
  return process?.getBuiltinModule?.('node:worker_threads') as NodeThreads | undefined;
}

/** A worker of the platform. */
export const spawnWorker: SpawnWorker = (url, events) => {
  const node = nodeThreads();
  return node === undefined ? spawnWebWorker(url, events) : spawnNodeWorker(node, url, events);
};

/**
 * All that is said goes through a port of the worker's own. Its end closes when nothing of the thread runs any more, behind
 * whatever was said before; the exit comes when its heap is torn down, milliseconds later.
 */
function spawnNodeWorker(node: NodeThreads, url: URL, events: WorkerEvents): ThreadWorker {
  const { port1, port2 } = new node.MessageChannel();
  const worker = new node.Worker(url, { workerData: { port: port2 }, transferList: [port2] });
  let reason: string | undefined;
  let hasExited = false;
  let isGone = false;
  // What it said comes first, whatever the event loop hears of first.
  const end = (): void => {
    if (hasExited && isGone) events.ended(reason!);
  };
  port1.on('message', (value) => events.message(value));
  port1.on('close', () => {
    isGone = true;
    events.gone?.();
    end();
  });
  worker.on('error', (error) => {
    reason ??= String(error);
  });
  worker.on('exit', (code) => {
    reason ??= `exit with code ${String(code)}`;
    hasExited = true;
    end();
  });
  return { post: (message) => port1.postMessage(message), terminate: () => void worker.terminate() };
}

function spawnWebWorker(url: URL, events: WorkerEvents): ThreadWorker {
  const worker = new Worker(url, { type: 'module' });
  worker.onmessage = ({ data }) => events.message(data);
  worker.onerror = ({ message }) => events.ended(message ?? 'the worker could not be loaded');
  let isGone = false;
  const terminate = (): void => {
    worker.terminate();
    if (!isGone) events.gone?.();
    isGone = true;
  };
  return { post: (message) => worker.postMessage(message), terminate };
}

/** The end of the worker that this is called in. */
export function workerPort(): WorkerPort {
  const node = nodeThreads();
  if (node?.parentPort) {
    const { port } = node.workerData;
    return {
      post: (message) => port.postMessage(message),
      onFirstMessage: (call) => port.once('message', call),
      onMessage: (call) => port.on('message', call),
      onExit: (call) => process?.on('exit', call),
      // Closed by the thread's end: whoever hears of that is to know that nothing runs any more.
      close: () => port.unref(),
    };
  }
  const scope = globalThis as unknown as Pick<MessagePort, 'postMessage' | 'onmessage' | 'close'>;
  return {
    post: (message) => scope.postMessage(message),
    onFirstMessage: (call) => {
      scope.onmessage = ({ data }) => {
        scope.onmessage = null;
        call(data);
      };
    },
    onMessage: (call) => {
      scope.onmessage = ({ data }) => call(data);
    },
    onExit: () => {},
    close: () => scope.close(),
  };
}
