// Runs one test of this folder on the files in another: node tests/run.mjs NAME FOLDER
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const [name, folder] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
// Where Node finds what is not bundled.
const built = await mkdtemp(join(here, '..', 'node_modules', '.test-'));
await build({
  entryPoints: [join(here, `${name}.test.ts`)],
  outfile: join(built, `${name}.test.mjs`),
  bundle: true,
  format: 'esm',
  platform: 'node',
  external: ['playwright-core'],
  logLevel: 'error',
});
const env = { ...process.env, RSAMP_PAGES: folder };
const { status, stdout, stderr } = spawnSync(process.execPath, ['--test', built], { env, encoding: 'utf8' });
await rm(built, { recursive: true });
(status === 0 ? process.stdout : process.stderr).write(stdout + stderr);
process.exitCode = status ?? 1;
