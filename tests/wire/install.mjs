// Makes a folder outside the repository that has the stock client in it.
import {execFileSync} from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const FILES = ['package.json', 'package-lock.json', 'build.mjs', 'drive.mjs', 'person.mjs', 'checks.mjs', 'page/client.js'];

/** Copies our files into `folder`, installs the packages of the lock file unless they are there, and bundles the page. */
export function install(folder) {
  fs.mkdirSync(path.join(folder, 'page'), {recursive: true});
  const lock = path.join(folder, 'package-lock.json');
  const installed = fs.existsSync(path.join(folder, 'node_modules')) && same(lock, path.join(HERE, 'package-lock.json'));
  for (const file of FILES) fs.copyFileSync(path.join(HERE, file), path.join(folder, file));
  if (!installed) execFileSync('npm', ['ci', '--no-audit', '--no-fund'], {cwd: folder, stdio: ['ignore', 'ignore', 'inherit']});
  execFileSync('node', ['build.mjs'], {cwd: folder, stdio: ['ignore', 'ignore', 'inherit']});
}

function same(one, other) {
  return fs.existsSync(one) && fs.readFileSync(one).equals(fs.readFileSync(other));
}
