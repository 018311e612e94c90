/** The name of a system error, such as `ENOENT`; undefined for anything else, Node's own `ERR_…` included. */
export function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && 'errno' in error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : undefined;
}

/** Whether there was no room for what was to be written: on the disk, or within a quota. */
export function isNoRoom(error: unknown): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errnoOf(error) ?? '');
}
