// Bounds of local files.

/** Larger files do not fit into the memory of a tab. */
export const FILE_BYTES_MAX = 512 * 1024 * 1024;

/** The formats that are recognised, in words. */
export const FORMATS = 'pprof, folded stacks, JFR, perf script, speedscope, Chrome .cpuprofile, Firefox profile or a flame graph as SVG';
/** What a file dialog offers. */
export const ACCEPT = '.pb,.gz,.pprof,.prof,.folded,.txt,.collapsed,.json,.cpuprofile,.speedscope,.jfr,.perf,.svg,.html';
