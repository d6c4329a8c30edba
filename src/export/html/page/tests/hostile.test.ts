// Names of the target are text, whatever is in them; and no request leaves the page.
import assert from 'node:assert/strict';
import test from 'node:test';
import { launch, show } from './pages';

test('hostile names are text', async () => {
  const browser = await launch();
  try {
    const { page, requests, errors, violations } = await show(browser, 'hostile.html');
    await page.waitForFunction(() => document.body.innerText.includes('fn=x'));
    const scripts = await page.evaluate(() => document.querySelectorAll('script:not([type]), img, iframe, object').length);
    assert.equal(scripts, 1, 'the page has its own script only');
    assert.equal(await page.evaluate(() => (window as unknown as { hit?: number }).hit), undefined);
    assert.deepEqual([requests, errors], [[], []]);
    assert.equal(await violations(), 0);
    // The policy is there: a request is refused, and counted.
    const isRefused = await page.evaluate(() => fetch('http://127.0.0.1:9/').then(() => false, () => true));
    assert.ok(isRefused);
    assert.ok((await violations()) > 0);
  } finally {
    await browser.close();
  }
});
