#!/usr/bin/env node
// Two domains, real browsers, the built program.
//
//   node run.mjs [PROGRAM]        PROGRAM: target/release/anchor-sft
//   CHROMIUM=/path/to/chromium    PORT_OFFSET=300 (where the demo's ports are taken)
//   ONLY=word (runs the cases whose name has it, and those they build on)
//
// Prints a line a case and one summary, `N passed, 0 failed`; exit 1 where one failed. Screenshots: out/browser/*.png.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { launch } from './browser.mjs';
import { cases } from './cases.mjs';
import { startDemo } from './demo.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const program = path.resolve(process.argv[2] ?? path.join(ROOT, 'target/release/anchor-sft'));
const chromium = process.env.CHROMIUM ?? ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

async function main() {
  if (!chromium) throw new Error('no Chromium found: install the package chromium or set CHROMIUM');
  const pictures = path.join(ROOT, 'out/browser');
  await rm(pictures, { recursive: true, force: true });
  await mkdir(pictures, { recursive: true });
  const directory = await mkdtemp(path.join(tmpdir(), 'anchor-sft-browser-'));
  const demo = await startDemo(program, directory);
  process.once('SIGINT', () => demo.end().finally(() => process.exit(130)));
  process.once('SIGTERM', () => demo.end().finally(() => process.exit(143)));
  const stage = await launch(chromium);
  const world = { stage, demo, picture: (participant, name) => participant.page.screenshot({ path: path.join(pictures, `${name}.png`) }) };
  try {
    return await runAll(world);
  } finally {
    await stage.close();
    await demo.end();
    await rm(directory, { recursive: true, force: true });
  }
}

async function runAll(world) {
  const wanted = process.env.ONLY ?? '';
  let [passed, failed] = [0, 0];
  for (const { name, always, run } of cases) {
    if (!always && !name.includes(wanted)) continue;
    const began = Date.now();
    try {
      await run(world);
      passed += 1;
      console.log(`ok      ${name} (${((Date.now() - began) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed += 1;
      console.log(`FAILED  ${name}\n  ${error.message}`);
      await Promise.all(world.stage.participants.map((one, index) => world.picture(one, `failed-${failed}-${index}`).catch(() => {})));
    }
  }
  if (failed) console.log(`the demo said last:\n  ${world.demo.lines.slice(-30).join('\n  ')}`);
  console.log(`${passed} passed, ${failed} failed`);
  return failed === 0;
}

main().then(
  (good) => process.exit(good ? 0 : 1),
  (error) => {
    console.log(error.message);
    console.log('0 passed, 1 failed');
    process.exit(1);
  },
);
