// The page works in a frame of a notebook: without an origin, and where what is around it forbids workers.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { folder, launch } from './pages';

let browser: Browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const AROUND = ['', `<meta http-equiv="Content-Security-Policy" content="worker-src 'none'">`];

for (const policy of AROUND) {
  test(`in a frame, ${policy ? 'without workers' : 'with workers'}`, async () => {
    const page = await browser.newPage({ viewport: { width: 1300, height: 900 } });
    const errors: string[] = [];
    page.on('pageerror', (error) => errors.push(error.message));
    await page.setContent(`<!doctype html><title>notebook</title>${policy}<div></div>`);
    // As a notebook shows what a cell gives.
    await page.evaluate((text) => {
      const box = document.querySelector('div')!;
      box.innerHTML = '<iframe sandbox="allow-scripts allow-downloads" style="width: 100%; height: 720px"></iframe>';
      box.querySelector('iframe')!.srcdoc = text;
    }, await readFile(join(folder, 'views.html'), 'utf8'));
    const frame = page.frameLocator('iframe');
    await frame.locator('.flamebox canvas').waitFor();
    assert.match(await frame.locator('.words').innerText(), /most in kernel/);
    await frame.locator('#search').fill('kern');
    await frame.locator('.found', { hasText: '1 functions' }).waitFor();
    await frame.locator('#tab-functions').click();
    await frame.locator('#view tr', { hasText: 'kernel' }).first().waitFor();
    await frame.locator('.legend button').first().click();
    await frame.locator('.crumbs').waitFor();
    assert.deepEqual(errors, []);
    await page.close();
  });
}
