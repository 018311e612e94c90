// Compiles the program and keeps that in the agent's code cache: the first start after an installation, and each start of
// a container, is then as fast as any other. To be run as the agent's user and with the agent's flags: V8 takes nothing
// that others made, or made under others. Without it nothing fails, and the first start is slower.
import { readdirSync } from 'node:fs';
import { enableCompileCache, flushCompileCache } from 'node:module';

const program = new URL('dist/', import.meta.url);

enableCompileCache('/var/cache/gatehouse');
for (const name of readdirSync(program)) {
  // What begins to work by itself when it is loaded, gatehouse.mjs above all, is not among them.
  if (/^(?:agent|cli|events-worker)\b.*\.mjs$/u.test(name)) {
    await import(new URL(name, program).href).catch(() => undefined);
  }
}
flushCompileCache();
process.exit();
