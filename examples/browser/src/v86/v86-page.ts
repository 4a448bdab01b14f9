import { counted, find, notIsolated, rateOf, showNote, table } from '../page-parts.js';
import { RateChart } from '../rate-chart.js';
import { openInlineMachines } from './inline-machines.js';
import type { MachineLab } from './machine-lab.js';
import { ipOf, type MachineOrder, type MachineView, macOf } from './pinging-machine.js';
import { openThreadMachines } from './thread-machines.js';

const SHOW_MS = 500;
const MACHINES = [0, 1] as const;

const mode = (text: string): void => {
  find('#mode').textContent = text;
};

function stop(error: unknown): void {
  mode('stopped');
  showNote(error instanceof Error ? error.message : String(error));
}

/** A file of the server's. @throws Error with the server's words where it has none */
async function fetched(name: string): Promise<ArrayBuffer> {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`There are no machines to show: ${await response.text()}.`);
  return await response.arrayBuffer();
}

/** Show a machine in its card. */
function machineCard(index: number): (view: MachineView | undefined) => void {
  const place = `#guest${index}`;
  const mac = Array.from(macOf(index), (byte) => byte.toString(16).padStart(2, '0')).join(':');
  find(`${place} .address`).textContent = `${ipOf(index)}, ${mac}`;
  const show = table(place, [
    'now',
    'pings',
    'replies',
    'last round trip',
    'frames sent',
    'frames received',
    'interrupts',
  ]);
  return (view) => {
    if (view === undefined) return;
    const trip = view.replies > 0 ? `${view.roundTrip.toFixed(1)} ms` : '–';
    show([view.doing, view.pings, view.replies, trip, view.sent, view.received, view.interrupts]);
    find(`${place} h2`).textContent = `Machine ${index + 1}: Linux, ${view.interfaceName}`;
    find(`${place} pre`).textContent = view.lines.join('\n');
  };
}

function show(lab: MachineLab): void {
  const cards = MACHINES.map(machineCard);
  const showSwitch = table('#switch', ['forwarded', 'flooded']);
  const chart = new RateChart(find('#chart'));
  const rate = rateOf(
    () => lab.views().reduce((sum, view) => sum + (view?.replies ?? 0), 0),
    (perSecond, seconds) => {
      find('#rate').textContent = counted.format(Math.round(perSecond));
      chart.add(seconds, perSecond);
    },
  );
  setInterval(() => {
    const { forwarded, flooded } = lab.switched();
    for (const [index, view] of lab.views().entries()) cards[index]!(view);
    showSwitch([forwarded, flooded]);
    rate();
  }, SHOW_MS);
  const pause = find<HTMLButtonElement>('#pause');
  let isPaused = false;
  pause.addEventListener('click', () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? 'Go on' : 'Pause';
    lab.pause(isPaused);
  });
}

async function start(): Promise<void> {
  const isWished = new URLSearchParams(location.search).has('inline');
  if (!crossOriginIsolated) showNote(notIsolated('machines and switch'));
  const isInline = isWished || !crossOriginIsolated;
  const other = find<HTMLAnchorElement>('#other');
  other.hidden = !crossOriginIsolated;
  if (isInline) Object.assign(other, { href: location.pathname, textContent: 'Run in threads' });
  mode('fetching a machine that has booted, which the server may have to boot first');
  const [bios, vgaBios, state] = await Promise.all(['bios', 'vgabios', 'state'].map(fetched));
  const files = { bios: bios!, vgaBios: vgaBios!, wasmPath: new URL('v86.wasm', location.href).href };
  const orders = MACHINES.map((index): MachineOrder => ({ files, state: state!, index }));
  mode('two machines go on from its state');
  const lab = isInline ? await openInlineMachines(orders, stop) : openThreadMachines(orders, stop);
  mode(isInline ? 'inline, on the page' : 'a thread for each machine and the switch');
  show(lab);
}

start().catch(stop);
