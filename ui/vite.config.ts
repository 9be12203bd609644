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

/** The pages, and the modules that they begin with. */
const PAGES = {
  incident: 'views/incident/IncidentPage',
  explore: 'views/App',
  compare: 'views/compare/ComparePage',
  members: 'views/members/MembersPage',
  fleet: 'views/fleet/FleetPage',
  archive: 'views/archive/ArchivePage',
  embed: 'views/embed/EmbedPage',
};

/** Pages with flame graphs, which the worker decodes. */
const WITH_WORKER = ['explore', 'compare', 'embed'];

/** The number of requests that browsers send to a server at once. */
const REQUESTS_MAX = 6;

/** The script that starts the worker, of pages for which it is not one request too many. */
const START = 'app/start.ts';

/** What a page loads before it is drawn, compressed. */
const FIRST_BYTES_MAX = 60_000;

/**
 * Writes PAGE.html for each page: index.html with links to everything that the page needs, so that the browser requests all
 * of it at once. A frame has another base, and links to the page's first request are added by the server.
 */
function documents(): Plugin {
  return {
    name: 'documents',
    apply: 'build',
    buildStart() {
      this.emitFile({ type: 'chunk', id: START, name: 'start' });
    },
    writeBundle(options, bundle) {
      const dir = options.dir!;
      const index = readFileSync(join(dir, 'index.html'), 'utf8');
      const chunks = Object.values(bundle).filter((one) => one.type === 'chunk');
      const worker = Object.keys(bundle).find((name) => /tree\.worker-.*\.js$/.test(name));
      const start = chunks.find((one) => one.facadeModuleId?.endsWith(START))?.fileName;
      if (worker === undefined || start === undefined) throw new Error('the worker or the script that starts it was not built');
      for (const [page, module] of Object.entries(PAGES)) {
        const first = chunks.find((one) => one.moduleIds.some((id) => id.endsWith(`/app/${module}.tsx`)));
        if (first === undefined) throw new Error(`no chunk begins with ${module}`);
        const [files, styles] = [new Set<string>(), new Set<string>()];
        const visit = (name: string): void => {
          const chunk = chunks.find((one) => one.fileName === name);
          if (chunk === undefined || files.has(name)) return;
          files.add(name);
          for (const style of chunk.viteMetadata?.importedCss ?? []) styles.add(style);
          chunk.imports.forEach(visit);
        };
        visit(first.fileName);
        const needed = new Set<string>();
        const imported = (id: string): void => {
          if (needed.has(id)) return;
          needed.add(id);
          this.getModuleInfo(id)?.importedIds.forEach(imported);
        };
        imported(first.moduleIds.find((id) => id.endsWith(`/app/${module}.tsx`))!);
        // The state of a page reads and writes its address, so it must not run on a page that does not use it.
        for (const { fileName, moduleIds } of chunks) {
          const states = moduleIds.filter((id) => id.includes('/app/state/') && !SHARED.test(id) && !OTHERS.test(id));
          if (!files.has(fileName) || states.length === 0 || states.some((id) => needed.has(id))) continue;
          throw new Error(`the page ${page} would load ${states[0].replace(/.*\/app\//, 'app/')}, which it does not import: add the module that both use to SHARED in vite.config.ts`);
        }
        const scripts = [...files].filter((name) => !index.includes(name));
        // The styles of a page are after the common one, which they change.
        const own = [...styles].filter((name) => !index.includes(name)).map((name) => `  <link rel="stylesheet" crossorigin href="./${name}">\n  `);
        // Besides these: the data, and the script and the style of every page.
        const others = scripts.length + own.length + 3;
        const early: string[] = !WITH_WORKER.includes(page) ? [] : others + 2 <= REQUESTS_MAX ? [worker, start] : [worker];
        if (page === 'explore' && !early.includes(start)) throw new Error(`the page explore would need ${others + 2} requests before it is drawn, browsers send ${REQUESTS_MAX} at once: change SHARED or EXPLORE in vite.config.ts`);
        const loaded = [...files, ...early];
        const bytes = loaded.reduce((sum, name) => sum + gzipSync(readFileSync(join(dir, name)), { level: constants.Z_BEST_COMPRESSION }).length, 0);
        if (bytes > FIRST_BYTES_MAX) throw new Error(`the page ${page} would load ${bytes} bytes of compressed JavaScript before it is drawn, the maximum is ${FIRST_BYTES_MAX}: load what is not drawn at first by Lazy`);
        // The answer takes longest, so it is requested first.
        const links = [
          '<!--data-->',
          ...early.map((name) => (name === start ? `<script type="module" async crossorigin src="./${start}"></script>` : `<link rel="modulepreload" crossorigin href="./${name}">`)),
          ...scripts.map((name) => `<link rel="modulepreload" crossorigin href="./${name}">`),
        ];
        const html = index.replace('</head>', `${own.join('')}</head>`).replace('    <script', `    ${links.join('\n    ')}\n    <script`);
        writeFileSync(join(dir, `${page}.html`), page === 'embed' ? html.replace('<head>', '<head>\n    <base href="../">') : html);
      }
    },
  };
}

/**
 * The beginning of every page, and modules without effects, which pages share. Browsers request only six files of a server at
 * once: this, the page's own part, the style, the worker, the data, and what the bundler adds.
 */
const SHARED = /\/app\/main\.tsx|\/app\/api\/(query|problem|types|viewer)\.ts|\/app\/render\/(?!svg)|\/app\/logic\/(?!export|byname|emptystate|pushexample|treerows|workers|heat|sourcelines|subsecond|axes|markers|ticks)[a-z]+\.ts|\/app\/logic\/files\/limits\.ts|\/app\/worker\/(client|matcher)|\/app\/state\/(resource|address|latest)\.ts|\/app\/views\/(Lazy|Nav|keys|RefreshButton|CopyButton|FilePicker|Menu|VirtualRows|dismiss|placed)\.tsx?$|\/node_modules\/|vite\/preload-helper/;
/** What Explore does not begin with, and most other pages do. */
const OTHERS = /\/app\/api\/(control|captures)\.ts|\/app\/views\/(FilterField|Waiting)\.tsx|\/app\/logic\/(members\/usage|compare\/urlstate|members\/flamelink)\.ts|\/app\/state\/operator\.ts/;
/** What Explore begins with. */
const EXPLORE = /\/app\/state\/(explore|queries|folding|zoom|detail|search|status|timeline|transforms|help|framemenu)\.ts$|\/app\/views\/(App|Header|Breadcrumb|Filters|FlamePane|OpenButton|Notices|StatusBar|Toolbar|TopTable|TransformBar|CopyLink)\.tsx?$/;

export default defineConfig({
  base: './',
  // Oxc compiles JSX for Preact, so no framework plugin is needed.
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  plugins: [documents(), gzipped()],
  worker: { format: 'es' },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    target: 'es2022',
    // No inlined assets: the content security policy does not allow data: URLs for scripts and fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            { name: 'shared', test: SHARED, priority: 2 },
            { name: 'explore', test: EXPLORE, priority: 1 },
            { name: 'others', test: OTHERS, priority: 1 },
          ],
        },
      },
    },
  },
  server: {
    port: 5173,
    proxy: { '/api': process.env['DAVY_URL'] ?? 'http://127.0.0.1:8080' },
  },
  test: { include: ['app/test/**/*.test.ts'], environment: 'node' },
} as Parameters<typeof defineConfig>[0]);
