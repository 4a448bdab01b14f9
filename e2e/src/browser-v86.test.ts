import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addressOf, serveSite } from '../../examples/browser/src/site.js';
import { guestPartsProblem } from '../../examples/v86/src/guest-parts.js';
import { CHROMIUM, ExamplePages, numberOf, picture, rowOf } from './example-pages.js';

const PATIENCE_MS = 400_000;
const problem = CHROMIUM === undefined ? 'chromium is not installed' : undefined;
const SUITE = `two v86 machines on a page${because(problem)}`;
const noGuest = guestPartsProblem();
/** Replies that a machine is to have: more than one run of ping. */
const ENOUGH = 60;

describe.skipIf(problem !== undefined)(SUITE, { timeout: PATIENCE_MS }, () => {
  let pages: ExamplePages;

  beforeAll(async () => {
    pages = await ExamplePages.open(PATIENCE_MS);
  }, PATIENCE_MS);

  afterAll(() => pages?.close());

  /** Open a page, and pause it when both machines have had enough replies and ended the run of ping they were at. */
  async function pinged(path: string): Promise<Page> {
    const { page, problems } = await pages.visit(path, 820);
    const replies = '#guest1 tr:has(th:text-is("replies")) td';
    await page.waitForSelector(replies, { timeout: PATIENCE_MS, state: 'attached' });
    for (const guest of ['guest0', 'guest1'])
      while (!((await numberOf(page, guest, 'replies')) >= ENOUGH)) {
        expect(problems).toEqual([]);
        expect(await page.textContent('#mode')).not.toBe('stopped');
        await page.waitForTimeout(200);
      }
    await picture(page, `browser-v86-${path.replace(/\W/g, '')}`);
    await page.click('#pause');
    for (const guest of ['guest0', 'guest1'])
      await expect.poll(() => rowOf(page, guest, 'now'), { timeout: PATIENCE_MS }).toBe('waits');
    return page;
  }

  /** Linux's own words of the last run of ping, in both machines, and what cards and switch counted of all of them. */
  async function expectWhole(page: Page): Promise<void> {
    let frames = 0;
    for (const guest of ['guest0', 'guest1']) {
      expect(await page.textContent(`#${guest} pre`)).toMatch(
        /(\d+) packets transmitted, \1 packets received, 0% packet loss/,
      );
      expect(await numberOf(page, guest, 'interrupts')).toBeGreaterThan(0);
      const replies = await numberOf(page, guest, 'replies');
      expect(await numberOf(page, guest, 'pings')).toBe(replies);
      frames += replies;
    }
    // A reply is a frame, and so is what it answers.
    const switched = (await numberOf(page, 'switch', 'forwarded')) + (await numberOf(page, 'switch', 'flooded'));
    expect(switched).toBeGreaterThanOrEqual(2 * frames);
    for (const count of ['frames sent', 'frames received'])
      expect(await numberOf(page, 'guest0', count)).toBeGreaterThanOrEqual(frames);
  }

  test.skipIf(noGuest !== undefined)(
    `an isolated page has a thread for each machine and the switch, and Linux loses no ping${because(noGuest)}`,
    async () => {
      const page = await pinged('v86/');
      expect(await page.textContent('#mode')).toBe('a thread for each machine and the switch');
      expect(await page.isVisible('#note')).toBe(false);
      await expectWhole(page);
      await page.close();
    },
  );

  test.skipIf(noGuest !== undefined)(
    `a page that is not isolated says what it lacks and has both machines inline${because(noGuest)}`,
    async () => {
      const page = await pinged('open/v86/');
      expect(await page.textContent('#mode')).toBe('inline, on the page');
      expect(await page.textContent('#note')).toMatch(
        /crossOriginIsolated is false.*machines and switch run inline.*Cross-Origin-Opener-Policy: same-origin/,
      );
      await expectWhole(page);
      await page.close();
    },
  );

  test('without a guest the page says how to get one', async () => {
    const missing = (): never => {
      throw new Error('there is no 32-bit kernel (examples/v86/guest-parts.sh gets one)');
    };
    const empty = await serveSite(new Map([...pages.files, ['/v86/state', missing]]), 0);
    const page = await pages.browser.newPage();
    await page.goto(`${addressOf(empty)}v86/`);
    await expect.poll(() => page.textContent('#mode'), { timeout: PATIENCE_MS }).toBe('stopped');
    expect(await page.textContent('#note')).toMatch(/no machines to show: there is no .*guest-parts\.sh gets one/);
    await page.close();
    empty.closeAllConnections();
    empty.close();
  });
});

/** Why a test is left out, for its title. */
function because(reason: string | undefined): string {
  return reason === undefined ? '' : `: skipped, because ${reason}`;
}
