// Bundles the page; run by install.mjs in the folder that has the package.
import * as esbuild from 'esbuild';

await esbuild.build({
  entryPoints: ['page/client.js'],
  outfile: 'page/bundle.js',
  bundle: true,
  format: 'iife',
  platform: 'browser',
  external: ['fs', 'path', 'crypto'],
  logLevel: 'warning',
});
