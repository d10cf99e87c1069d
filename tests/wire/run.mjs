#!/usr/bin/env node
// Stock Wire clients against `anchor-sft demo`; see README.md.
import {spawn} from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath, pathToFileURL} from 'node:url';
import {parseArgs} from 'node:util';
import {install} from './install.mjs';

const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const PORT_OFFSET = 3000 + (process.pid % 100) * 10;
const SCENARIOS = [
  {name: 'two clients of one domain', people: 2, seconds: 8},
  {name: 'two clients of two domains', people: 2, seconds: 8, federated: true},
  {name: 'three clients of two domains with video', people: 3, seconds: 8, federated: true, video: true, quality: 2},
  {name: 'two clients of two domains, MLS', people: 2, seconds: 8, federated: true, mls: true},
  {name: 'the SFT of the called domain is killed', people: 3, seconds: 1, federated: true, killed: 'b'},
  {name: 'the SFT of the caller is killed', people: 3, seconds: 1, federated: true, killed: 'a'},
];

const {values: given} = parseArgs({options: {
  binary: {type: 'string', default: path.join(ROOT, 'target/release/anchor-sft')},
  chromium: {type: 'string', default: inPath('chromium', 'chromium-browser', 'google-chrome')},
  folder: {type: 'string'},
  only: {type: 'string', default: ''},
  'sft-a': {type: 'string'},
  'sft-b': {type: 'string'},
  verbose: {type: 'boolean', default: false},
}});

const folder = path.resolve(given.folder ?? fs.mkdtempSync(path.join(os.tmpdir(), 'wire-client-')));
const demo = given['sft-a'] ? null : startDemo();
let passed = 0, failed = 0;
try {
  install(folder);
  await demo?.ready;
  const {drive} = await import(pathToFileURL(path.join(folder, 'drive.mjs')));
  const sfts = demo?.sfts ?? [given['sft-a'], given['sft-b'] ?? given['sft-a']];
  for (const scenario of SCENARIOS.filter(({name}) => name.includes(given.only))) {
    if (scenario.killed && !demo) continue;
    const result = await drive({...scenario, sfts, kill: demo?.kill, chromium: given.chromium, verbose: given.verbose});
    report(scenario.name, result);
  }
} catch (error) {
  failed += 1;
  console.log(`failed  before or between scenarios: ${error}`);
} finally {
  await demo?.end();
  if (!given.folder) fs.rmSync(folder, {recursive: true, force: true});
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);

function report(name, {ok, failed: names, errors}) {
  if (ok) passed += 1; else failed += 1;
  console.log(`${ok ? 'passed' : 'failed'}  ${name}`);
  for (const line of [...names, ...errors]) console.log(`        ${line}`);
}

/** The first of these programs that there is; undefined where there is none. */
function inPath(...names) {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  return names.flatMap(name => folders.map(folder => path.join(folder, name))).find(file => fs.existsSync(file));
}

/** Two domains with certificates of their own; `ready` fails when the demo ends or takes longer than a minute. */
function startDemo() {
  const port = 8585 + PORT_OFFSET;
  const child = spawn(given.binary, ['demo', '--port-offset', String(PORT_OFFSET)], {stdio: ['ignore', 'pipe', 'pipe']});
  const said = [];
  const ended = new Promise(resolve => child.once('exit', resolve));
  const ready = new Promise((resolve, reject) => {
    const hear = data => { said.push(String(data)); if (said.join('').includes('Open both pages')) resolve(); };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('error', reject);
    ended.then(code => reject(new Error(`the demo ended with ${code}:\n${said.join('')}`)));
    setTimeout(() => reject(new Error(`the demo is not ready:\n${said.join('')}`)), 60_000).unref();
  });
  // Where nobody waits for it yet, a failure must not end the program before it is reported.
  ready.catch(() => {});
  const end = async () => { child.kill('SIGTERM'); await ended; };
  // The demo starts a killed SFT again, and says its new process id.
  const kill = side => {
    const pids = [...said.join('').matchAll(new RegExp(`^${side}\\.localhost: pid (\\d+)$`, 'gm'))];
    process.kill(Number(pids.at(-1)[1]), 'SIGKILL');
  };
  return {ready, end, kill, sfts: [`http://127.0.0.1:${port}`, `http://127.0.0.1:${port + 100}`]};
}
