// A page of which a part is missing says so.
import assert from 'node:assert/strict';
import test from 'node:test';
import { launch, show } from './pages';

test('a page that was cut off says so', async () => {
  const browser = await launch();
  try {
    for (const file of ['cut-data.html', 'cut-end.html']) {
      const { page, errors } = await show(browser, file);
      const alert = await page.waitForSelector('[role=alert]');
      assert.match(await alert.innerText(), /the file ends early/, file);
      assert.deepEqual(errors, []);
    }
    const { page } = await show(browser, 'whole.html');
    await page.waitForFunction(() => document.body.innerText.includes('fib'));
    assert.equal(await page.$('[role=alert]'), null);
  } finally {
    await browser.close();
  }
});
