// Every view is drawn, follows range, selection and search, can be saved, and can be used by keys and screen readers.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { flaws, launch, show, type Seen } from './pages';

let browser: Browser;
let seen: Seen;
let page: Page;

before(async () => {
  browser = await launch();
  seen = await show(browser, 'views.html');
  page = seen.page;
  await drawn();
});
after(() => browser.close());

/** Waits until the sums of the selection are there. */
const drawn = () => page.waitForFunction(() => document.querySelector('.words b') !== null && document.querySelector('.timeline canvas') !== null);

/** Opens the page anew, as the hash says. */
async function open(hash = '') {
  await page.evaluate((hash) => { location.hash = hash; location.reload(); }, hash);
  await page.waitForLoadState('load');
  await drawn();
}

const text = (selector: string) => page.locator(selector).first().innerText();
const view = () => text('#view');

/** How many colours a canvas has, at most 10. */
const colours = (selector: string) => page.locator(selector).first().evaluate((canvas) => {
  const { width, height } = canvas as HTMLCanvasElement;
  const data = (canvas as HTMLCanvasElement).getContext('2d')!.getImageData(0, 0, width, height).data;
  const found = new Set<number>();
  for (let i = 0; i < data.length && found.size < 10; i += 4) found.add((data[i] << 16) | (data[i + 1] << 8) | data[i + 2]);
  return found.size;
});

test('the first screen says where the time goes', async () => {
  assert.match(await text('.words'), /running Python.*most in kernel \(run\.py:20\), \d+ % by itself/s);
  assert.match(await text('.overview'), /run\.py:21/);
  assert.ok(await colours('.timeline canvas') > 4);
  assert.ok(await colours('.lanes canvas') > 2);
  assert.ok(await colours('.flamebox canvas') > 4);
  const bottoms = await page.$$eval('.words, .timeline, .tabs, .flamebox, .answers', (all) => all.map((it) => it.getBoundingClientRect().bottom));
  assert.ok(bottoms.every((bottom) => bottom <= 900), String(bottoms));
});

test('every view is drawn', async () => {
  const expected: [string, RegExp][] = [
    ['2', /self.*± points.*kernel/s], ['3', /run\.py:21\s+total = total/], ['4', /def kernel.*total = total/s],
    ['5', /kernel/], ['6', /retained.*run\.py/s], ['7', /rank 1.*Functions by rank/s], ['8', /Findings/], ['9', /independent ones/], ['0', /Compare two parts/],
  ];
  for (const [key, what] of expected) {
    await page.keyboard.press(key);
    await page.waitForFunction((key) => document.querySelector('[role=tab][aria-selected=true] kbd')?.textContent === key, key);
    await page.waitForFunction(([source]) => new RegExp(source, 's').test(document.getElementById('view')!.innerText), [what.source]);
  }
  await page.keyboard.press('5');
  assert.ok((await page.locator('.graph .node').count()) >= 3);
});

test('a drag selects a range that every view follows, and Back undoes it', async () => {
  await open();
  const whole = await text('.words b');
  const box = (await page.locator('.timeline canvas').first().boundingBox())!;
  await page.mouse.move(box.x + 300, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + 500, box.y + 40, { steps: 3 });
  await page.mouse.up();
  await page.waitForFunction(() => document.querySelector('.words')!.textContent!.includes('in this range'));
  await page.waitForFunction((whole) => document.querySelector('.words b')!.textContent !== whole, whole);
  const hash = await page.evaluate(() => location.hash);
  assert.match(hash, /range=\d+-\d+/);
  await open(hash);
  assert.match(await text('.words'), /in this range/);
  await page.keyboard.press('Escape');
  await page.waitForFunction((whole) => document.querySelector('.words b')!.textContent === whole, whole);
  await page.goBack();
  await page.waitForFunction(() => document.querySelector('.words')!.textContent!.includes('in this range'));
  await page.keyboard.press('Escape');
});

test('keys select a range', async () => {
  await open();
  await page.locator('.drag').focus();
  for (const key of ['ArrowRight', 'ArrowRight', 'Shift+ArrowRight', 'Shift+ArrowRight']) await page.keyboard.press(key);
  await page.waitForFunction(() => location.hash.includes('range='));
  assert.match(await text('footer'), /cores/);
});

test('one selection holds in all views', async () => {
  await open();
  await page.locator('.answers tr', { hasText: 'kernel' }).last().click();
  await page.waitForSelector('.details');
  assert.match(await text('.details'), /kernel.*total.*callers.*solve/s);
  await page.keyboard.press('s');
  await page.waitForSelector('.codelines');
  assert.match(await view(), /def kernel/);
  const hot = page.locator('.codelines tr[data-hot]').first();
  assert.match(await hot.innerText(), /%/);
  await page.keyboard.press('2');
  await page.waitForSelector('tr.selected');
  assert.match(await text('tr.selected'), /kernel/);
  await page.goBack();
  await page.waitForSelector('.codelines');
});

test('a task is chosen, and the flame graph is grouped by task', async () => {
  await open();
  await page.keyboard.press('7');
  const row = page.locator('#view tr', { hasText: 'task reader' });
  await row.click();
  await page.waitForFunction(() => document.querySelector('.crumbs')?.textContent?.includes('task reader'));
  await page.waitForFunction(() => /^2\.00 s/.test(document.querySelector('.words p:not(.crumbs)')!.textContent!));
  await open(await page.evaluate(() => location.hash));
  assert.match(await text('.crumbs'), /task reader/);
  await page.keyboard.press('Escape');
  await page.keyboard.press('1');
  await page.locator('.flame select').selectOption('task');
  await page.keyboard.press('t');
  await page.waitForFunction(() => /task solver[\s\S]*task reader/.test(document.querySelector('[role=treegrid]')?.textContent ?? ''));
  await page.keyboard.press('t');
  await page.locator('.flame select').selectOption('none');
});

test('the activity is shown by class of work, too', async () => {
  await open();
  const before = await text('.legend');
  await page.locator('button', { hasText: 'by class of work' }).click();
  await page.waitForFunction(() => /BLAS \d+ %[\s\S]*not known|not known[\s\S]*BLAS \d+ %/.test(document.querySelector('.legend')!.textContent!));
  assert.match(await page.evaluate(() => location.hash), /activity=class/);
  await page.keyboard.press('7');
  assert.match(await view(), /Kinds of work[\s\S]*BLAS/);
  await page.locator('button', { hasText: 'by class of work' }).click();
  assert.equal(await text('.legend'), before);
});

test('the cursor has the values of all lanes', async () => {
  await open();
  const box = (await page.locator('.timeline .lanes').boundingBox())!;
  await page.mouse.move(box.x + 600, box.y + 8);
  await page.waitForFunction(() => /cores .* memory .* GIL held .*MainThread: \d+ %/.test(document.querySelector('footer')!.innerText));
  await page.mouse.move(0, 0);
});

test('two parts of the recording are compared', async () => {
  await open();
  await page.keyboard.press('0');
  await page.locator('#view button', { hasText: 'second half with the first' }).click();
  await page.waitForSelector('.answers .base');
  assert.match(await text('.answers'), /compared with 0 s to 5\.00 s/);
  const change = await page.locator('.answers tr', { hasText: 'kernel' }).innerText();
  // The first second of each main thread reads.
  assert.match(change, /\+\d+\.\d/);
  assert.match(await page.locator('.answers tr', { hasText: 'read' }).innerText(), /−19\.\d\s+20 %\s+0 %/);
  assert.ok(await colours('.flamebox canvas') > 3);
  await open(await page.evaluate(() => location.hash));
  await page.waitForSelector('.answers .base');
  await page.keyboard.press('1');
  await page.keyboard.press('Escape');
});

test('a search finds parts of names and expressions', async () => {
  await open();
  await page.keyboard.press('/');
  await page.keyboard.type('kern');
  await page.waitForFunction(() => /^1 functions, \d+ %/.test(document.querySelector('.found')!.textContent!));
  await page.locator('#search').fill('/^(kernel|solve)$/');
  await page.waitForFunction(() => /^2 functions, \d+ %/.test(document.querySelector('.found')!.textContent!));
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => /^solve · total/.test(document.querySelector('footer')!.innerText));
  await page.locator('#search').fill('/(/');
  await page.waitForFunction(() => document.querySelector('.found')!.textContent === 'not an expression');
});

test('the flame graph is walked, zoomed, inverted and shown as a tree by keys', async () => {
  await open();
  await page.locator('.flamebox .scroll').focus();
  for (const key of ['ArrowDown', 'ArrowDown', 'ArrowDown']) await page.keyboard.press(key);
  assert.match(await text('footer'), /total .* self /);
  await page.keyboard.press('Enter');
  await page.waitForSelector('.zoomout');
  await page.keyboard.press('i');
  await page.waitForSelector('.tools button[aria-pressed=true]:has-text("inverted")');
  await page.keyboard.press('i');
  await page.keyboard.press('t');
  await page.waitForSelector('[role=treegrid]');
  assert.match(await text('[role=treegrid]'), /main.*solve.*kernel/s);
  await page.keyboard.press('t');
});

test('stacks of 2,000 frames are drawn where they are in sight', async () => {
  await open();
  await page.locator('.tools button', { hasText: 'fold recursion' }).click();
  const box = page.locator('.flamebox .scroll');
  await page.waitForFunction(() => document.querySelector('.flamebox .scroll')!.scrollHeight > 2000 * 18);
  await box.evaluate((it) => { it.scrollTop = it.scrollHeight - it.clientHeight; });
  await page.waitForTimeout(50);
  assert.ok(await colours('.flamebox canvas') > 1);
  assert.ok(await page.locator('.flamebox canvas').evaluate((canvas) => (canvas as HTMLCanvasElement).height) < 2000);
});

test('what is shown can be saved', async () => {
  await open();
  const save = async (button: string, inside: string) => {
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.locator(`${inside} button`, { hasText: button }).first().evaluate((it) => (it as HTMLElement).click()),
    ]);
    return { name: download.suggestedFilename(), data: await readFile((await download.path())!) };
  };
  const svg = await save('SVG', '.flame .menu');
  assert.match(svg.data.toString(), /^<svg [\s\S]*kernel[\s\S]*<\/svg>\n$/);
  const png = await save('PNG', '.flame .menu');
  assert.equal(png.data.subarray(1, 4).toString(), 'PNG');
  assert.match((await save('SVG', '.timeline')).data.toString(), /activity/);
  const folded = (await save('folded', '.flame .menu')).data.toString();
  assert.match(folded, /^main \(\/home\/ada\/run\.py:1\);solve .*;kernel .* \d+$/m);
  const speedscope = JSON.parse((await save('speedscope', '.flame .menu')).data.toString());
  const sum = speedscope.profiles[0].weights.reduce((a: number, b: number) => a + b, 0);
  assert.equal(sum, speedscope.profiles[0].endValue);
  assert.match((await save('CSV', '.answers')).data.toString(), /^time,"your lines[\s\S]*\r\n15\.7,run\.py:21  total = total \+ 1\r\n/);
});

test('dark and light follow the system and the key', async () => {
  await open();
  const ground = () => page.evaluate(() => document.documentElement.dataset.ground);
  assert.equal(await ground(), 'light');
  await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
  await page.waitForFunction(() => document.documentElement.dataset.ground === 'dark');
  await page.keyboard.press('d');
  assert.equal(await ground(), 'light');
  assert.match(await page.evaluate(() => location.hash), /theme=light/);
  await page.emulateMedia({ colorScheme: 'light' });
});

test('axe finds nothing, in any view, dark or light', async () => {
  const views = ['1', '2', '3', '4', '5', '6', '7', '8', '9', '0', '?'];
  for (const [theme, keys, rules] of [['light', views, null], ['dark', ['1', '4', '7', '?'], ['color-contrast']]] as const) {
    await open(`theme=${theme}&function=0`);
    for (const key of keys) {
      await page.keyboard.press(key);
      await page.waitForTimeout(60);
      assert.deepEqual(await flaws(page, rules), [], `view ${key}, ${theme}`);
    }
    await page.keyboard.press('Escape');
  }
});

test('nothing went wrong and nothing left the page', async () => {
  assert.deepEqual([seen.requests, seen.errors], [[], []]);
  assert.equal(await seen.violations(), 0);
});
