// Starts `anchor-sft demo` and ends it.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const READY_MS = 60_000;
const END_MS = 10_000;

/** Runs the program until both domains have printed the address of their page; answers { pages: [a, b], lines, pid(domain), end() }. */
export async function startDemo(program, directory) {
  const offset = process.env.PORT_OFFSET ? ['--port-offset', process.env.PORT_OFFSET] : [];
  const child = spawn(program, ['demo', '--dir', directory, ...offset], { stdio: ['ignore', 'pipe', 'pipe'] });
  const lines = [];
  const pages = [];
  const failed = once(child, 'error').then(([error]) => Promise.reject(new Error(`cannot start ${program}: ${error.message}`)));
  const exited = once(child, 'exit');
  const ready = new Promise((resolve) => {
    const read = (line) => {
      lines.push(line);
      pages.push(...(line.match(/https?:\/\/\S+#conference=\S+/g) ?? []));
      if (pages.length >= 2) resolve();
    };
    createInterface({ input: child.stdout }).on('line', read);
    createInterface({ input: child.stderr }).on('line', (line) => lines.push(line));
  });
  const gone = exited.then(([code]) => Promise.reject(new Error(`the demo ended by itself with ${code}:\n${lines.join('\n')}`)));
  gone.catch(() => {}); // it ends for good reasons, too
  await limited(Promise.race([ready, failed, gone]), READY_MS, () => `no two page addresses:\n${lines.join('\n')}`);
  const pid = (domain) => Number(lines.findLast((line) => line.startsWith(`${domain}: pid `))?.split(' ').at(-1) ?? assert.fail(`no pid of ${domain}`));
  return { pages: pages.slice(0, 2), lines, pid, end: () => end(child, exited) };
}

async function end(child, exited) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await limited(exited, END_MS, () => 'the demo did not end on SIGTERM').catch((error) => {
    child.kill('SIGKILL');
    throw error;
  });
}

async function limited(promise, milliseconds, explain) {
  let timer;
  const late = new Promise((_, reject) => (timer = setTimeout(() => reject(new Error(explain())), milliseconds)));
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
