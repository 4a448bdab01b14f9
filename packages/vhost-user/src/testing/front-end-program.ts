// A front-end that goes as far as it is told, and then stays or exchanges frames, until somebody ends it. Writes `ready`
// before it connects, and `there` when it is where it was to go.
import { connectUnix, send } from '@ringwire/linux';
import { FrontEnd, PACKED, SPLIT, turnUntil } from './front-end.js';
import { words } from './raw-peer.js';

const [path, layout, how] = process.argv.slice(2) as [string, string, string];

async function go(): Promise<void> {
  if (how === 'half a message') send(connectUnix(path), words(2, 1));
  else {
    const frontEnd = new FrontEnd(layout === 'packed' ? PACKED : SPLIT);
    if (how === 'burst') {
      await frontEnd.run(path, true);
      await turnUntil([frontEnd], () => frontEnd.used[1] > 300);
      process.stdout.write('there\n');
      await turnUntil([frontEnd], () => false);
    }
    await frontEnd.connect(path);
    for (const step of frontEnd.steps(true).slice(0, Number(how))) await step();
  }
  process.stdout.write('there\n');
}

process.stdout.write('ready\n');
void go();
// Never without whoever started it.
const parent = process.ppid;
setInterval(() => process.ppid === parent || process.exit(), 1000);
