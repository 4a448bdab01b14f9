import { writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { type Browser, chromium, type Page } from 'playwright-core';
import { addressOf, buildSite, serveSite } from '../../examples/browser/src/site.js';
import type { SiteFile } from '../../examples/browser/src/site-file.js';
import { sourceAliases } from '../../tools/source-aliases.mjs';
import { findProgram } from './program.js';

/** A folder for pictures of pages, for people. */
const { RINGWIRE_PICTURES } = process.env;
/** Where Debian's Chromium is. */
export const CHROMIUM: string | undefined = findProgram('chromium');

/** The pages of `examples/browser`, made of the sources, behind a server of their own, and a browser to look at them. */
export class ExamplePages {
  readonly files: ReadonlyMap<string, SiteFile>;
  readonly browser: Browser;
  private readonly server: Server;

  private constructor(files: ReadonlyMap<string, SiteFile>, browser: Browser, server: Server) {
    this.files = files;
    this.browser = browser;
    this.server = server;
  }

  static async open(patienceMs: number): Promise<ExamplePages> {
    const files = await buildSite({
      deviceWorker: new URL('../../packages/device-thread/dist/device-worker.bundle.js', import.meta.url),
      alias: sourceAliases(),
    });
    const server = await serveSite(files, 0);
    try {
      const browser = await chromium.launch({
        executablePath: CHROMIUM!,
        timeout: patienceMs,
        args: ['--no-sandbox'],
      });
      return new ExamplePages(files, browser, server);
    } catch (error) {
      server.close();
      throw error;
    }
  }

  /** @returns the page, and what it threw so far; live */
  async visit(path: string, height: number): Promise<{ page: Page; problems: readonly string[] }> {
    const page = await this.browser.newPage({ viewport: { width: 1100, height } });
    const problems: string[] = [];
    page.on('pageerror', (error) => problems.push(String(error)));
    await page.goto(addressOf(this.server) + path);
    return { page, problems };
  }

  async close(): Promise<void> {
    await this.browser.close();
    this.server.closeAllConnections();
    this.server.close();
  }
}

/** A row of one of a page's cards. */
export const rowOf = (page: Page, card: string, name: string): Promise<string | null> =>
  page.textContent(`#${card} tr:has(th:text-is("${name}")) td`);

export const numberOf = async (page: Page, card: string, name: string): Promise<number> =>
  Number((await rowOf(page, card, name))?.replaceAll(',', ''));

/** A picture of a page, where pictures are wanted. */
export async function picture(page: Page, name: string): Promise<void> {
  if (RINGWIRE_PICTURES !== undefined) writeFileSync(`${RINGWIRE_PICTURES}/${name}.png`, await page.screenshot());
}
