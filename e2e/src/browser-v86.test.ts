import { writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addressOf, buildSite, serveSite } from '../../examples/browser/src/site.js';
import type { SiteFile } from '../../examples/browser/src/site-file.js';
import { guestPartsProblem } from '../../examples/v86/src/guest-parts.js';
import { sourceAliases } from '../../tools/source-aliases.mjs';
import { findProgram } from './program.js';

const PATIENCE_MS = 400_000;
const executablePath = findProgram('chromium');
const problem = executablePath === undefined ? 'chromium is not installed' : undefined;
const SUITE = `two v86 machines on a page${problem === undefined ? '' : `: skipped, because ${problem}`}`;
const noGuest = guestPartsProblem();
/** Replies that a machine is to have: more than one run of ping. */
const ENOUGH = 60;
/** A folder for pictures of the page, for people. */
const { RINGWIRE_PICTURES } = process.env;

describe.skipIf(problem !== undefined)(SUITE, { timeout: PATIENCE_MS }, () => {
  let browser: Browser;
  let files: ReadonlyMap<string, SiteFile>;
  let server: Server;

  beforeAll(async () => {
    files = await buildSite({
      deviceWorker: new URL('../../packages/device-thread/dist/device-worker.bundle.js', import.meta.url),
      alias: sourceAliases(),
    });
    server = await serveSite(files, 0);
    browser = await chromium.launch({ executablePath: executablePath!, timeout: PATIENCE_MS, args: ['--no-sandbox'] });
  }, PATIENCE_MS);

  afterAll(async () => {
    await browser?.close();
    server?.closeAllConnections();
    server?.close();
  });

  const rowOf = (page: Page, card: string, name: string): Promise<string | null> =>
    page.textContent(`#${card} tr:has(th:text-is("${name}")) td`);
  const numberOf = async (page: Page, card: string, name: string): Promise<number> =>
    Number((await rowOf(page, card, name))?.replaceAll(',', ''));

  /** Open a page, and pause it when both machines have had enough replies and ended the run of ping they were at. */
  async function pinged(path: string): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1100, height: 820 } });
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    await page.goto(addressOf(server) + path);
    const replies = '#guest1 tr:has(th:text-is("replies")) td';
    await page.waitForSelector(replies, { timeout: PATIENCE_MS, state: 'attached' });
    for (const guest of ['guest0', 'guest1'])
      while (!((await numberOf(page, guest, 'replies')) >= ENOUGH)) {
        expect(problems).toEqual([]);
        expect(await page.textContent('#mode')).not.toBe('stopped');
        await page.waitForTimeout(200);
      }
    if (RINGWIRE_PICTURES !== undefined)
      writeFileSync(
        `${RINGWIRE_PICTURES}/browser-v86-${path.replace(/\W/g, '') || 'threads'}.png`,
        await page.screenshot(),
      );
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
    const empty = await serveSite(new Map([...files, ['/v86/state', missing]]), 0);
    const page = await browser.newPage();
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
