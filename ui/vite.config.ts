import { readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';
import { type Plugin, defineConfig } from 'vite';

/** Writes FILE.gz beside every file that it makes smaller, so that the server does not compress. */
function gzipped(): Plugin {
  const walk = (dir: string): string[] =>
    readdirSync(dir).flatMap((name) => {
      const path = join(dir, name);
      return statSync(path).isDirectory() ? walk(path) : [path];
    });
  let out = 'dist';
  return {
    name: 'gzipped',
    apply: 'build',
    configResolved(config) {
      out = join(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const path of walk(out).filter((p) => !p.endsWith('.gz'))) {
        const raw = readFileSync(path);
        const small = gzipSync(raw, { level: constants.Z_BEST_COMPRESSION });
        if (small.length < raw.length * 0.9) writeFileSync(`${path}.gz`, small);
      }
    },
  };
}

export default defineConfig({
  base: './',
  // Oxc compiles JSX for Preact, so no framework plugin is needed.
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [gzipped()],
  worker: { format: 'es' },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // No inlined assets: the content security policy does not allow data: URLs for scripts and fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    port: 5173,
    proxy: { '/api': process.env['DAVY_URL'] ?? 'http://127.0.0.1:8080' },
  },
  test: { include: ['app/test/**/*.test.ts'], environment: 'node' },
} as Parameters<typeof defineConfig>[0]);
