// The page of two recordings shows the one, and what differs from the other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { flaws, launch, show, type Seen } from './pages';

let browser: Browser;
let seen: Seen;
before(async () => {
  browser = await launch();
  seen = await show(browser, 'pair.html');
  await seen.page.waitForSelector('.answers .base');
});
after(() => browser.close());

const text = (selector: string) => seen.page.locator(selector).first().innerText();

test('what differs is shown first, in points, with the function that was moved', async () => {
  assert.equal(await text('[role=tab][aria-selected=true]'), 'Diff 0');
  assert.match(await text('.base'), /compared with before\.rsamp/);
  // 8 s of 10 s before, 2 s of 4 s now; in a file of another folder, seven lines further down.
  assert.match(await text('.answers tr:has-text("kernel")'), /−30\.0\s+80 %\s+50 %/);
  assert.match(await text('.answers tr:has-text("read")'), /\+30\.0\s+20 %\s+50 %/);
  assert.equal(await seen.page.locator('.answers tr:has-text("kernel")').count(), 1);
});

test('all else is of the second recording alone', async () => {
  const { page } = seen;
  assert.match(await text('.words'), /^4\.00 s of threads' time/);
  await page.keyboard.press('2');
  await page.waitForSelector('#view table');
  assert.match(await text('#view tr:has-text("kernel")'), /2\.000/);
  await page.keyboard.press('7');
  await page.waitForFunction(() => /1 row/.test(document.querySelector('#view')!.textContent!));
  assert.equal(await page.locator('#view tbody tr').count(), 1);
  assert.doesNotMatch(await text('#view'), /Processes/);
});

test('what was lost is that of the second recording', async () => {
  await seen.page.keyboard.press('0');
  assert.match(await text('footer'), /3 lost/);
  assert.match(await text('.legend'), /lost/);
});

test('axe finds nothing in the views of both, dark or light', async () => {
  const { page } = seen;
  for (const rules of [null, ['color-contrast']]) {
    for (const key of ['0', '1', '4', '7', '9']) {
      await page.keyboard.press(key);
      await page.waitForTimeout(60);
      assert.deepEqual(await flaws(page, rules), [], `view ${key}`);
    }
    await page.keyboard.press('d');
  }
});

test('nothing went wrong and nothing left the page', async () => {
  assert.deepEqual([seen.requests, seen.errors], [[], []]);
  assert.equal(await seen.violations(), 0);
});
