// Turns the page's sources into ../page.html: one file, with the worker and the notices of third parties in it.
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));

async function bundle(entry, define = {}) {
  const result = await build({
    absWorkingDir: here,
    entryPoints: [entry],
    bundle: true,
    minify: true,
    charset: 'utf8',
    format: 'iife',
    target: ['chrome80', 'firefox100', 'safari15'],
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
    write: false,
    metafile: true,
    define,
  });
  return { text: result.outputFiles[0].text.trim(), inputs: Object.keys(result.metafile.inputs) };
}

/** The licences of the packages of which anything is in the page. */
async function notices(inputs) {
  const packages = new Set(inputs.map((path) => path.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean));
  const texts = [...packages].sort().map(async (name) => {
    const { version } = JSON.parse(await readFile(join(here, 'node_modules', name, 'package.json'), 'utf8'));
    const licence = await readFile(join(here, 'node_modules', name, 'LICENSE'), 'utf8');
    return `${name} ${version}\n\n${licence.trim()}\n`;
  });
  return (await Promise.all(texts)).join('\n\n');
}

const worker = await bundle('worker.ts');
const main = await bundle('main.tsx', { WORKER_SOURCE: JSON.stringify(worker.text) });
const licences = await notices([...worker.inputs, ...main.inputs]);
// Of a script, `</script` would be the end, and `<!--` the begin of something else.
const script = main.text.replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
const parts = {
  style: (await readFile(join(here, 'style.css'), 'utf8')).trim(),
  script,
  notices: licences.trim().replaceAll('&', '&amp;').replaceAll('<', '&lt;'),
};
const template = await readFile(join(here, 'template.html'), 'utf8');
const page = template.replace(/<!--(style|script|notices)-->/g, (_, name) => parts[name]);
await writeFile(join(here, '..', 'page.html'), page);
await writeFile(join(here, 'NOTICES'), licences);
console.log(`page.html: ${page.length} bytes, of which script ${script.length}`);
