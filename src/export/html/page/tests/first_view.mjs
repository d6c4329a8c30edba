// Opens a page of whatever profiler in Chromium, without a network: node tests/first_view.mjs FILE [PICTURE.png]
//
// Prints as JSON after how many seconds it looked as it does at the end, and what it wanted of the network.
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

/** So long it is watched, in milliseconds; longer where it still changes. */
const WATCHED = 4000;
const MOST_WATCHED = 60_000;

const [file, picture] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
const page = await browser.newPage({ viewport: { width: 1300, height: 900 } });
const wanted = [];
await page.route(/^https?:/, (route) => {
  wanted.push(route.request().url());
  return route.abort();
});
const began = performance.now();
await page.goto(pathToFileURL(resolve(file)).href, { waitUntil: 'commit', timeout: MOST_WATCHED });
const seen = [];
let changed = began;
while (performance.now() - began < WATCHED || (performance.now() - changed < WATCHED / 2 && performance.now() - began < MOST_WATCHED)) {
  const asked = performance.now(), now = await page.screenshot({ animations: 'disabled', caret: 'hide', timeout: MOST_WATCHED });
  if (seen.length === 0 || !now.equals(seen.at(-1).now)) {
    changed = performance.now();
    seen.push({ asked, now });
  }
  await page.waitForTimeout(30);
}
if (picture) await writeFile(picture, seen.at(-1).now);
await browser.close();
console.log(JSON.stringify({ seconds: (seen.at(-1).asked - began) / 1000, wanted }));
