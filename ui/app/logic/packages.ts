// The package of a frame, and which packages are the runtime's: code that programs run on and that
// is not their own. Rust, Go, Java, .NET, PHP, Python and C are recognised by punctuation.

/** The crate, Go package, Java package, PHP namespace or Python module; '' if unknown. */
export function packageOf(name: string, file = '', fromPath = packageByPath(file)): string {
  // The path is more reliable than the name, which can start with the crate of a type argument.
  if (fromPath !== '') return fromPath;
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
  // Functions that the compiler generates, such as `__rust_try`, have no source file.
  if (name.startsWith('__rust_')) return 'std';
  return folder;
}

const LIBC = /^(?:_start|start_thread|_*clone3?|__GI_.*|__libc_.*)$/;

// Paths that contain the package's name: a toolchain's own libraries, a registry's `name-1.2.3`, the
// output of a build script, and glibc, whose paths are relative.
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

// Sources are in the package's folder, or in its `src`.
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

const known = new WeakMap<string[], string[]>();

/** The package of each frame. The result is kept, and so are lookups by path: many frames share a file. */
export function packagesOf(names: string[], files: string[]): string[] {
  const before = known.get(names);
  if (before !== undefined) return before;
  const byPath = new Map<string, string>();
  const packages = names.map((name, f) => {
    const file = files[f];
    let fromPath = byPath.get(file);
    if (fromPath === undefined) {
      fromPath = packageByPath(file);
      byPath.set(file, fromPath);
    }
    return packageOf(name, file, fromPath);
  });
  known.set(names, packages);
  return packages;
}

/** Whether a frame belongs to the runtime. A `main` without a source file is the C entry point that calls Rust's `main`. */
export function isRuntime(name: string, file: string, of = packageOf(name, file)): boolean {
  return RUNTIME.has(of) || (name === 'main' && file === '');
}

/** The package as named in a run: the parts of Rust's standard library are all `std`. */
export function familyOf(name: string): string {
  return name === 'core' || name === 'alloc' || name === '__rustc' ? 'std' : name;
}
