import type { Guest } from './guest.js';
import { openInlineLab } from './inline-lab.js';
import { type Lab, STATIONS } from './lab.js';
import { counted, find, notIsolated, rateOf, showNote, table } from './page-parts.js';
import { RateChart } from './rate-chart.js';
import { openThreadLab } from './thread-lab.js';

const WATCH_MS = 100;
const SHOW_MS = 500;

/** Show a guest's counters in its card. */
function guestCard(guest: Guest, index: number): () => void {
  const { mac, ip } = STATIONS[index]!;
  const place = `#guest${index}`;
  const bytes = Array.from(mac, (byte) => byte.toString(16).padStart(2, '0'));
  find(`${place} .address`).textContent = `${ip.join('.')}, ${bytes.join(':')}`;
  const rows = ['pings', 'replies', 'answered for the other', 'ARP frames', 'interrupts', 'wrong', 'driver'];
  const show = table(place, rows);
  return () => {
    const { pings, replies, answered, arps, wrong } = guest.counters;
    show([pings, replies, answered, arps, guest.driver.counters.interrupts, wrong, guest.driver.state]);
  };
}

const repliesOf = ({ guests }: Lab): number => guests.reduce((sum, { counters }) => sum + counters.replies, 0);

function show(lab: Lab): void {
  const cards = lab.guests.map(guestCard);
  const rows = ['forwarded', 'flooded', ...(lab.sleeps === undefined ? [] : ['device threads slept'])];
  const showSwitch = table('#switch', rows);
  const chart = new RateChart(find('#chart'));
  const rate = rateOf(
    () => repliesOf(lab),
    (perSecond, seconds) => {
      find('#rate').textContent = counted.format(Math.round(perSecond));
      chart.add(seconds, perSecond);
    },
  );
  setInterval(() => {
    const { forwarded, flooded } = lab.switched();
    for (const card of cards) card();
    showSwitch([forwarded, flooded, ...(lab.sleeps === undefined ? [] : [lab.sleeps()])]);
    const { roundTrip } = lab.guests[0].counters;
    if (repliesOf(lab) > 0) find('#trip').textContent = `${roundTrip.toFixed(1)} ms`;
    rate();
  }, SHOW_MS);
}

/** Pings in flight as the page's controls say. */
function control(lab: Lab): void {
  const flight = find<HTMLSelectElement>('#flight');
  const pause = find<HTMLButtonElement>('#pause');
  let isPaused = false;
  const apply = (): void => {
    for (const guest of lab.guests) guest.inFlight = isPaused ? 0 : Number(flight.value);
    lab.watch();
  };
  flight.addEventListener('change', apply);
  pause.addEventListener('click', () => {
    isPaused = !isPaused;
    pause.textContent = isPaused ? 'Go on' : 'Pause';
    apply();
  });
  setInterval(() => lab.watch(), WATCH_MS);
  apply();
}

async function start(): Promise<void> {
  const isWished = new URLSearchParams(location.search).has('inline');
  if (!crossOriginIsolated) showNote(notIsolated('devices and switch'));
  const isInline = isWished || !crossOriginIsolated;
  const other = find<HTMLAnchorElement>('#other');
  other.hidden = !crossOriginIsolated;
  if (isInline) Object.assign(other, { href: location.pathname, textContent: 'Run in threads' });
  const lab = isInline ? openInlineLab() : await openThreadLab();
  find('#mode').textContent = isInline ? 'inline, on the page' : 'a thread for each device and the switch';
  show(lab);
  control(lab);
}

start().catch((error: unknown) => {
  find('#mode').textContent = 'stopped';
  showNote(String(error));
});
