// A device type that fails when a driver notifies it: imported by workers, so it is plain JavaScript without imports.
// options.how: 'throw', 'exit', 'hang', 'configuration change', or 'write' for a write of its configuration; options.count: a shared word that counts kicks.
export function createModel({ how, count }) {
  // The device itself notifies once, when it starts.
  let notifications = 0;
  let port;
  return {
    deviceId: 4,
    features: new Uint32Array(4),
    queueSizes: [64],
    config: new Uint8Array(8),
    featureProblem: () => undefined,
    writeConfig: () => {
      if (how === 'write') throw new Error('the model broke down');
    },
    start: (given) => {
      notifications = 0;
      port = given;
    },
    queueChanged: () => {},
    notified: () => {
      notifications++;
      if (count !== undefined) Atomics.add(count, 0, 1);
    },
    step: () => {
      if (notifications < 2) return 0;
      notifications = 1;
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
