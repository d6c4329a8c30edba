// Makes pictures of all views of written pages, dark and light: node tests/pictures.mjs FOLDER FILE.html…
//
// FOLDER/NAME-VIEW-light.png and so on, 1300 × 900, without a network. It fails where a page has an error.
import { basename, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { chromium } from 'playwright-core';

const VIEWS = ['overview', 'functions', 'lines', 'source', 'graph', 'memory', 'threads', 'findings', 'about', 'diff'];

const [folder, ...files] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'] });
const page = await browser.newPage({ viewport: { width: 1300, height: 900 } });
let file = '';
page.on('pageerror', (error) => {
  process.exitCode = 1;
  console.error(`${file}: ${error.message}`);
});

/** Waits until nothing is drawn any more. */
async function still() {
  for (let before = null, now; !(now = await page.screenshot()).equals(before ?? Buffer.alloc(0)); before = now) await page.waitForTimeout(150);
}

for (file of files) {
  const name = basename(file, '.html');
  for (const theme of ['light', 'dark']) {
    for (const view of VIEWS) {
      await page.goto('about:blank');
      await page.goto(`${pathToFileURL(resolve(file)).href}#view=${view}&theme=${theme}`);
      await page.waitForFunction(() => document.querySelector('.words b') !== null);
      await still();
      await page.screenshot({ path: join(folder, `${name}-${view}-${theme}.png`) });
    }
  }
  console.log(`${name}: ${2 * VIEWS.length} pictures`);
}
await browser.close();
