import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CHROMIUM, ExamplePages, numberOf, picture, rowOf } from './example-pages.js';

const PATIENCE_MS = 240_000;
const SUITE = `two guests on a page${CHROMIUM === undefined ? ': skipped, because chromium is not installed' : ''}`;
/** Replies that both guests are to have: enough that each has gone round its rings of 256. */
const ENOUGH = 600;

describe.skipIf(CHROMIUM === undefined)(SUITE, { timeout: PATIENCE_MS }, () => {
  let pages: ExamplePages;

  beforeAll(async () => {
    pages = await ExamplePages.open(PATIENCE_MS);
  }, PATIENCE_MS);

  afterAll(() => pages?.close());

  /** Open a page, and pause it when both guests have had enough replies. */
  async function pinged(path: string): Promise<Page> {
    const { page, problems } = await pages.visit(path, 720);
    const replies = '#guest0 tr:has(th:text-is("replies")) td';
    await page.waitForSelector(replies, { timeout: PATIENCE_MS, state: 'attached' });
    for (const guest of ['guest0', 'guest1'])
      while ((await numberOf(page, guest, 'replies')) < ENOUGH || problems.length > 0) {
        expect(problems).toEqual([]);
        await page.waitForTimeout(100);
      }
    await picture(page, `browser-${path.replace(/\W/g, '') || 'threads'}`);
    await page.click('#pause');
    return page;
  }

  /** What is missing for every ping to have been answered once, and to have gone through the switch with its reply. */
  async function missing(page: Page): Promise<Record<string, number>> {
    const counts = async (name: string): Promise<[number, number]> => [
      await numberOf(page, 'guest0', name),
      await numberOf(page, 'guest1', name),
    ];
    const [pings, replies, answered] = [
      await counts('pings'),
      await counts('replies'),
      await counts('answered for the other'),
    ];
    const [arps, wrong] = [await counts('ARP frames'), await counts('wrong')];
    const switched = (await numberOf(page, 'switch', 'forwarded')) + (await numberOf(page, 'switch', 'flooded'));
    return {
      replies: pings[0] - replies[0] + pings[1] - replies[1],
      answers: Math.abs(pings[0] - answered[1]) + Math.abs(pings[1] - answered[0]),
      switched: 2 * (pings[0] + pings[1]) + arps[0] + arps[1] - switched,
      wrong: wrong[0] + wrong[1],
    };
  }

  /** Those in flight come in after the pause, and the page shows it a little later. */
  async function expectWhole(page: Page): Promise<void> {
    const whole = { replies: 0, answers: 0, switched: 0, wrong: 0 };
    await expect.poll(() => missing(page), { timeout: PATIENCE_MS }).toEqual(whole);
    expect(await rowOf(page, 'guest0', 'driver')).toBe('running');
  }

  test('an isolated page has a thread for each device and the switch, and no ping is lost', async () => {
    const page = await pinged('');
    await expectWhole(page);
    expect(await page.textContent('#mode')).toBe('a thread for each device and the switch');
    expect(await numberOf(page, 'switch', 'device threads slept')).toBeGreaterThan(0);
    expect(await page.isVisible('#note')).toBe(false);
    await page.close();
  });

  test('a page that is not isolated says what it lacks and goes on inline, and no ping is lost', async () => {
    const page = await pinged('open/');
    await expectWhole(page);
    expect(await page.textContent('#mode')).toBe('inline, on the page');
    expect(await page.isVisible('#note')).toBe(true);
    expect(await page.textContent('#note')).toMatch(
      /crossOriginIsolated is false.*Cross-Origin-Opener-Policy: same-origin/,
    );
    await page.close();
  });
});
