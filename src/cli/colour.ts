/** Whether a terminal may be given colours: https://no-color.org. */
export function hasColour(env: Readonly<Record<string, string | undefined>>): boolean {
  return (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
}
