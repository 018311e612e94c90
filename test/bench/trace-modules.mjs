// Preloaded into an agent (`--import …/trace-modules.mjs?to=FILE`): writes which modules each of its threads loads.
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { isMainThread } from 'node:worker_threads';

const file = new URL(import.meta.url).searchParams.get('to') ?? '';
const thread = isMainThread ? 'main' : 'worker';

registerHooks({
  load(url, context, next) {
    appendFileSync(file, `${thread} ${url}\n`);
    return next(url, context);
  },
});
