// Which package a frame belongs to, and which packages are the runtime's: what a program stands on
// and nobody of it has written. Rust, Go, Java, .NET, PHP, Python and C are told apart by punctuation.

/** The crate, Go package, Java package, PHP namespace or Python module; '' when there is none. */
export function packageOf(name: string, file = '', sure = packageByPath(file)): string {
  // A generic function's name begins with its arguments' crates: where the path says it, it is right.
  if (sure !== '') return sure;
  if (name.includes('::')) {
    // `<alloc::vec::Vec<T> as core::ops::Drop>::drop` belongs to the type's crate.
    const bare = name.replace(/^[<&*( ]*(?:(?:dyn|mut|const|impl|for<[^>]*>)\s+)*[<&*( ]*/, '');
    const crate = /^[A-Za-z_][A-Za-z0-9_]*(?=::)/.exec(bare)?.[0];
    if (crate !== undefined) return crate;
  }
  const folder = folderOf(file);
  if (folder !== '' && /\.(rs|[chS]|cc|[ch]pp)$/.test(file)) return folder;
  if (name.includes('\\')) return name.slice(0, name.indexOf('\\'));
  const slash = name.lastIndexOf('/');
  if (slash >= 0 && !name.startsWith('/')) {
    const dot = name.indexOf('.', slash);
    return dot > 0 ? name.slice(0, dot) : name.slice(0, slash);
  }
  const java = /^((?:[a-z_][a-z0-9_]*\.){2,})[A-Z]/.exec(name)?.[1];
  if (java !== undefined) return java.split('.').slice(0, 3).filter(Boolean).join('.');
  const dotted = /^([A-Za-z_][A-Za-z0-9_]*)\./.exec(name)?.[1];
  if (dotted !== undefined) return dotted;
  if (LIBC.test(name)) return 'libc';
  // What the compiler itself puts between, as `__rust_try`, has no source.
  if (name.startsWith('__rust_')) return 'std';
  return folder;
}

const LIBC = /^(?:_start|start_thread|_*clone3?|__GI_.*|__libc_.*)$/;

// Paths that name the package: a toolchain's own libraries, a registry's `name-1.2.3`, what a build
// script has compiled, and glibc, which is built in its own folder.
function packageByPath(file: string): string {
  if (file === '') return '';
  const std = /\/library\/([a-z_]+)\/src\//.exec(file)?.[1];
  if (std !== undefined) return std;
  if (/^\.\/(?:[a-z]+\/\.\.\/)?(?:sysdeps|nptl|csu|elf|io|malloc|misc|posix|signal|socket|stdio-common|stdlib|string|time|libio)\//.test(file)) return 'libc';
  const versioned =
    /\/registry\/src\/[^/]+\/(.+?)-\d+\.\d+/.exec(file)?.[1] ??
    /\/([A-Za-z][\w-]*?)-\d+\.\d+\.\d+[^/]*\/.*\.(?:rs|[chS]|cc|[ch]pp)$/.exec(file)?.[1] ??
    /\/build\/([A-Za-z][\w-]*?)-[0-9a-f]{16}\/out\//.exec(file)?.[1];
  return versioned === undefined ? '' : versioned.replaceAll('-', '_');
}

// Sources lie in the package's folder, or in `src` within it.
function folderOf(file: string): string {
  const parts = file.split('/').filter((p) => p !== '' && p !== '.');
  const src = parts.lastIndexOf('src', parts.length - 2);
  if (src > 0) return parts[src - 1].replaceAll('-', '_');
  return parts.length > 1 ? parts[parts.length - 2] : '';
}

const RUNTIME = new Set([
  'std', 'core', 'alloc', '__rustc', 'compiler_builtins', 'libc', 'davy_tag',
  'tokio', 'tokio_util', 'futures', 'futures_core', 'futures_util', 'futures_executor',
  'hyper', 'hyper_util', 'http_body', 'http_body_util', 'axum', 'axum_core', 'tower', 'tower_http', 'tower_layer', 'tower_service', 'tracing',
]);

/** The package of each frame; many frames have one file. */
export function packagesOf(names: string[], files: string[]): string[] {
  const byPath = new Map<string, string>();
  return names.map((name, f) => {
    const file = files[f];
    let sure = byPath.get(file);
    if (sure === undefined) {
      sure = packageByPath(file);
      byPath.set(file, sure);
    }
    return packageOf(name, file, sure);
  });
}

/** Whether a frame is the runtime's. C's `main` that has no source is the one before Rust's own. */
export function isRuntime(name: string, file: string, home = packageOf(name, file)): boolean {
  return RUNTIME.has(home) || (name === 'main' && file === '');
}

/** How the packages of a run are told: the three parts of Rust's library are one to its users. */
export function familyOf(home: string): string {
  return home === 'core' || home === 'alloc' || home === '__rustc' ? 'std' : home;
}
