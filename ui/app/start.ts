// Starts the worker while the page's own scripts are still loading: a browser needs about 100 ms for that, and longer when the
// page keeps it busy. It imports nothing, so that it is the first script that runs.

const link = document.querySelector<HTMLLinkElement>('link[rel="modulepreload"][href*="tree.worker"]');
const scope = globalThis as { davyWorker?: Worker | null | undefined };
// The page sets it to null when it takes the worker, or has started one itself.
if (link !== null && scope.davyWorker === undefined) {
  const worker = new Worker(link.href, { type: 'module' });
  scope.davyWorker = worker;
  // If it fails before the page takes it, the page starts another one and reports if that fails too (`TreeWorker`).
  worker.onerror = () => { scope.davyWorker = undefined; };
}

export {};
