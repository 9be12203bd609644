// Node 20 does not run TypeScript, so the benchmark is bundled first.
import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    ssr: 'bench/bench.ts',
    outDir: 'node_modules/.cache/davy-bench',
    emptyOutDir: true,
    target: 'node20',
  },
});
