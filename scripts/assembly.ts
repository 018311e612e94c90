import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { main } from 'assemblyscript/asc';

// Compiles what must be faster than JavaScript to WebAssembly and embeds it, so that neither running from source nor
// bundling knows of it. With --check it only says whether the embedded code is that of its source.

const root = dirname(import.meta.dirname);
const name = 'encode-lines';
const folder = join(root, 'src/events/encoding');
const source = `${name}.assembly.ts`;
const embedded = join(folder, `${name}.wasm.ts`);

async function compiled(): Promise<Uint8Array> {
  let bytes: Uint8Array | undefined;
  const flags = ['-O3', '--runtime', 'stub', '--use', 'abort=', '--noAssert', '--enable', 'simd'];
  const { error } = await main([source, ...flags, '--importMemory', '--outFile', `${name}.wasm`], {
    readFile: (file) => (file === source ? readFileSync(join(folder, file), 'utf8') : null),
    writeFile(_file, contents) {
      if (typeof contents !== 'string') bytes = contents;
    },
    listFiles: () => [],
  });

  if (error !== null) throw error;
  if (bytes === undefined) throw new Error(`${source} compiles to nothing`);
  return bytes;
}

const base64 = Buffer.from(await compiled()).toString('base64');
const content = `/** WebAssembly of ${source}, made by npm run assembly. */
export const encodeLinesWasm =
  '${base64}';
`;
const isFresh = readFileSync(embedded, { encoding: 'utf8', flag: 'a+' }) === content;
if (process.argv.includes('--check')) {
  if (!isFresh) process.stdout.write(`${embedded} is not that of its source: run npm run assembly\n`);
  process.exitCode = isFresh ? 0 : 1;
} else if (!isFresh) {
  writeFileSync(embedded, content);
  process.stdout.write(`wrote ${embedded}\n`);
}
