import { shareOfOurs } from './code-share.js';
import { type Card, openCase } from './v86-cases.js';
import type { V86Answer, V86Job, V86Round } from './v86-job.js';

// A process of its own for the machines of a case: nothing else that the bench does is in its profile.
process.once('message', (job: V86Job) => {
  measure(job)
    .then((answer) => process.send!(answer, () => process.exit(0)))
    .catch((error: unknown) => {
      console.error(error);
      process.exit(1);
    });
});

async function measure(job: V86Job): Promise<V86Answer> {
  // v86 says so of every frame that its card has no buffer for.
  console.log = () => {};
  const measured = await openCase(job);
  const rounds: Record<Card, V86Round[]> = { ours: [], own: [] };
  for (const card of ['ours', 'own'] as const) await measured.round(card);
  for (let pair = 0; pair < job.rounds; pair++) {
    // Whoever went first goes last: what gets slower meanwhile does so for both.
    const order: readonly Card[] = pair % 2 === 0 ? ['ours', 'own'] : ['own', 'ours'];
    for (const card of order) rounds[card].push(await measured.round(card));
  }
  const share = await shareOfOurs(() => measured.round('ours'));
  const problem = await measured.problem();
  await measured.close();
  return { ...rounds, share, problem };
}
