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
  /** It ended, or cannot go on. May be called more than once. */
  ended(reason: string): void;
  /** It does not run any more; after `ended`, once. A browser says so for what was terminated, and may be early. */
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
  /** Called when the thread exits in the middle of what it does. Browsers have no such thing. */
  onExit(call: () => void): void;
  close(): void;
}

interface NodePort {
  postMessage(message: unknown): void;
  once(event: 'message', call: (value: unknown) => void): void;
  on(event: 'message', call: (value: unknown) => void): void;
  close(): void;
}

interface NodeWorker {
  postMessage(message: unknown): void;
  terminate(): Promise<number>;
  on(event: string, call: (value: unknown) => void): void;
}

interface NodeThreads {
  readonly Worker: new (url: URL) => NodeWorker;
  readonly parentPort: NodePort | null;
}

interface Process {
  getBuiltinModule?(id: string): unknown;
  on(event: 'exit', call: () => void): void;
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

function spawnNodeWorker(node: NodeThreads, url: URL, events: WorkerEvents): ThreadWorker {
  const worker = new node.Worker(url);
  worker.on('message', (value) => events.message(value));
  worker.on('error', (error) => events.ended(String(error)));
  worker.on('exit', (code) => {
    events.ended(`exit with code ${String(code)}`);
    events.gone?.();
  });
  return { post: (message) => worker.postMessage(message), terminate: () => void worker.terminate() };
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
  const port = nodeThreads()?.parentPort;
  if (port) {
    return {
      post: (message) => port.postMessage(message),
      onFirstMessage: (call) => port.once('message', call),
      onMessage: (call) => port.on('message', call),
      onExit: (call) => process?.on('exit', call),
      close: () => port.close(),
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
