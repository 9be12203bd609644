// Bounds of local files.

/** Larger files do not fit into the memory of a tab. */
export const FILE_BYTES_MAX = 512 * 1024 * 1024;
