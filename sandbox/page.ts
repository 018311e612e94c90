/** One page of a listing, and the token that asks for the next one. */
export interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | undefined;
}

/**
 * The page of `items` that follows `token`. A token names the last item of the page before it, so a listing goes on
 * rightly when items were added meanwhile. `invalidToken` makes the error for a token that names no item.
 */
export function page<Item>(
  items: readonly Item[],
  keyOf: (item: Item) => string,
  limit: number,
  token: string | undefined,
  invalidToken: () => Error,
): Page<Item> {
  let start = 0;
  if (token !== undefined) {
    const last = Buffer.from(token, 'base64url').toString('utf8');
    start = items.findIndex((item) => keyOf(item) === last) + 1;
    if (start === 0) throw invalidToken();
  }
  const shown = items.slice(start, start + limit);
  const last = shown.at(-1);
  const isMore = last !== undefined && start + shown.length < items.length;
  return { items: shown, next: isMore ? Buffer.from(keyOf(last)).toString('base64url') : undefined };
}
