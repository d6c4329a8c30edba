// Opens written pages in Chromium and prints what that takes: node tests/speed.mjs FILE…
//
// First view: from the start of the navigation until the answer in words, the time axis and the flame graph are drawn.
// Range: from a change of the range in the address until all views are drawn anew; least, median and most of some ranges.
// CPU: of all threads of the tab. Memory: what the tab's process has in memory, once all of it stands still.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const RANGES = 15;
/** A browser that took no more CPU time than this in half a second has started, in ms. */
const SETTLED = 20;
const RUNS = Number(process.env.RUNS ?? 3);

/** Put into the page: waits until the sums of a selection are drawn, those whose words are not `before`; gives the moment. */
async function drawn(before) {
  const words = () => document.querySelector('.words b')?.textContent;
  const isDrawn = () => document.querySelector('.flamebox canvas') && document.querySelector('.timeline canvas') && words() && words() !== before;
  while (!isDrawn()) await new Promise((next) => requestAnimationFrame(next));
  await new Promise((next) => requestAnimationFrame(() => setTimeout(next)));
  return performance.now();
}

/** Chooses a part of the recording, and gives the time until it is drawn, in milliseconds. */
function choose(page, part) {
  return page.evaluate(async (part) => {
    const [from, to] = part.map((it) => Math.round(it * JSON.parse(document.getElementById('meta').textContent).duration_ns));
    const before = document.querySelector('.words b').textContent, began = performance.now();
    location.hash = `range=${from}-${to}`;
    return await window.drawn(before) - began;
  }, part);
}

/** Of the renderers: the memory of the largest one, in bytes (its own, and its part of what is shared); and CPU time, in ms. */
async function cost(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  const all = await Promise.all(processInfo.filter(({ type }) => type === 'renderer').map(async ({ id, cpuTime }) => {
    const text = await readFile(`/proc/${id}/smaps_rollup`, 'utf8');
    return { memory: 1024 * Number(/^Pss:\s+(\d+)/m.exec(text)[1]), cpu: 1000 * cpuTime };
  }));
  return { memory: Math.max(...all.map((it) => it.memory)), cpu: all.reduce((sum, it) => sum + it.cpu, 0) };
}

/** Waits until the browser has started: its own pages take CPU time too. */
async function settle(browser, page) {
  for (let before = -Infinity, now; (now = (await cost(browser)).cpu) - before > SETTLED; before = now) await page.waitForTimeout(500);
}

async function measure(file) {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--headless', '--no-sandbox', '--disable-gpu'] });
  const page = await browser.newPage({ viewport: { width: 1300, height: 900 } });
  await page.addInitScript(`window.drawn = ${drawn}`);
  await settle(browser, page);
  const startCpu = (await cost(browser)).cpu;
  await page.goto(pathToFileURL(resolve(file)).href, { waitUntil: 'commit' });
  await page.waitForFunction(() => document.querySelector('.flamebox canvas'), null, { timeout: 60_000, polling: 20 });
  const first = await page.evaluate(() => window.drawn(''));
  const firstCpu = (await cost(browser)).cpu - startCpu;
  await page.waitForTimeout(2000);
  const { memory: held, cpu } = await cost(browser);
  const times = [], cpus = [];
  for (let i = 0; i < RANGES; i++) {
    // Parts of all lengths, the same in each run.
    const from = (i * 0.37) % 0.6, to = from + 0.02 + (i * 0.61) % 0.38;
    const before = (await cost(browser)).cpu;
    times.push(await choose(page, [from, to]));
    cpus.push((await cost(browser)).cpu - before);
    // What comes after it: sparklines and lanes.
    await page.waitForTimeout(700);
  }
  await browser.close();
  return { first, firstCpu, held, times, cpus, cpu };
}

const text = (numbers, unit) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  return [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)].map((it) => it.toFixed(0)).join(' / ') + ` ${unit}`;
};

for (const file of process.argv.slice(2)) {
  const runs = [];
  for (let i = 0; i < RUNS; i++) runs.push(await measure(file));
  console.log(`${file}: first view ${text(runs.map((it) => it.first), 'ms')} (CPU ${text(runs.map((it) => it.firstCpu), 'ms')}), range ${text(runs.flatMap((it) => it.times), 'ms')} (CPU ${text(runs.flatMap((it) => it.cpus), 'ms')}), memory ${text(runs.map((it) => it.held / 1e6), 'MB')}`);
}
