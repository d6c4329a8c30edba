// Opens written pages: their data in Node, or the page in a browser.
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { ThreadRuns, type Tables } from '../aggregate';
import { decodeModel, decodeRuns, unpack } from '../decode';
import type { Model } from '../model';

/** Where the files of the test are. */
export const folder = process.env.RSAMP_PAGES ?? '';

/** The model and the runs of a written page. */
export async function load(file: string): Promise<{ model: Model; tables: Tables; threads: Map<number, ThreadRuns> }> {
  const html = await readFile(join(folder, file), 'utf8');
  const tags = new Map<string, string>();
  for (const [, id, text] of html.matchAll(/<script type="text\/plain" id="(\w+)">([^<]*)<\/script>/g)) tags.set(id, text);
  const model = await decodeModel(tags.get('meta')!, tags.get('core')!, tags.get('src') ?? null);
  const threads = new Map<number, ThreadRuns>();
  for (const [id, process] of model.processes.entries()) {
    if (process.threads.length === 0) continue;
    const runs = decodeRuns(await unpack(tags.get(`p${id}`)!), process.threads.length, model.stacks.parent.length);
    process.threads.forEach((thread, place) => threads.set(thread, new ThreadRuns(runs[place])));
  }
  return { model, tables: { ...model, duration_ns: model.meta.duration_ns }, threads };
}

/** What axe finds wrong in what is shown now; `rules`: only these. */
export async function flaws(page: Page, rules: readonly string[] | null): Promise<string[]> {
  const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  if (await page.evaluate(() => !('axe' in window))) await page.evaluate(axe);
  return page.evaluate(async (rules) => {
    const { violations } = await (window as unknown as { axe: { run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }> } }).axe.run(rules ? { runOnly: rules } : {});
    return violations.map((it) => `${it.id}: ${it.nodes[0].html.slice(0, 160)}`);
  }, rules as string[] | null);
}

/** What happened in the browser that must not. */
export interface Seen {
  page: Page;
  requests: string[];
  errors: string[];
  violations: () => Promise<number>;
}

export function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  });
}

/** Opens a written page at 1300 × 900. */
export async function show(browser: Browser, file: string): Promise<Seen> {
  const page = await browser.newPage({ viewport: { width: 1300, height: 900 } });
  const [requests, errors]: string[][] = [[], []];
  const url = pathToFileURL(join(folder, file)).href;
  page.on('request', (request) => {
    if (request.url().split('#')[0] !== url && !request.url().startsWith('blob:')) requests.push(request.url());
  });
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('dialog', (dialog) => {
    errors.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.addInitScript(() => {
    const counted = window as unknown as { violations: number };
    counted.violations = 0;
    document.addEventListener('securitypolicyviolation', () => counted.violations++);
  });
  await page.goto(url);
  return {
    page, requests, errors,
    violations: () => page.evaluate(() => (window as unknown as { violations: number }).violations),
  };
}
