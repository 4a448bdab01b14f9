// A device type that fails when its queue is notified: imported by workers, so it is plain JavaScript without imports.
// options.how: 'throw', 'exit', 'hang' or 'configuration change'; options.count: a shared word that counts kicks.
export function createModel({ how, count }) {
  let kicked = false;
  let port;
  return {
    deviceId: 4,
    features: new Uint32Array(4),
    queueSizes: [64],
    config: new Uint8Array(0),
    featureProblem: () => undefined,
    writeConfig: () => {},
    start: (given) => {
      port = given;
    },
    queueChanged: () => {},
    notified: () => {
      kicked = true;
      if (count !== undefined) Atomics.add(count, 0, 1);
    },
    step: () => {
      if (!kicked) return 0;
      kicked = false;
      if (how === 'throw') throw new Error('the model broke down');
      if (how === 'exit') process.exit(3);
      if (how === 'hang') for (;;) if (count !== undefined) Atomics.store(count, 1, 1);
      port.configChanged();
      return 1;
    },
    deadline: () => Number.POSITIVE_INFINITY,
    stop: () => {},
  };
}
