import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { bootstrapSchema, exampleBootstrap, gatewaySchema } from '../src/agent/config.ts';
import { errorTable } from '../src/agent/errors.ts';
import { logEventTable } from '../src/agent/log-events.ts';
import { metricRows } from '../src/agent/monitoring/metric-rows.ts';
import { commands } from '../src/cli/cli.ts';
import { globalOptions } from '../src/cli/command.ts';
import { variablesOf } from '../src/config/environment.ts';
import { jsonSchemaOf } from '../src/config/schema.ts';
import { cliPage } from './docs/cli.ts';
import { configPage } from './docs/config.ts';
import { errorsPage } from './docs/errors.ts';
import { logEventsPage } from './docs/log-events.ts';
import { metricsPage } from './docs/metrics.ts';

const root = dirname(import.meta.dirname);

/** Every generated file: path in the repository → content. */
function generatedFiles(): Readonly<Record<string, string>> {
  return {
    'docs/reference/errors.md': errorsPage(errorTable),
    'docs/reference/log-events.md': logEventsPage(logEventTable),
    'docs/reference/metrics.md': metricsPage(metricRows),
    'docs/reference/cli.md': cliPage(commands, globalOptions),
    'docs/reference/config.md': configPage([
      {
        title: 'Bootstrap config',
        introduction:
          'Local and without a secret: a file (`--config`, `GATEHOUSE_CONFIG`, else `/etc/gatehouse/config.json`), ' +
          'under the environment, under flags. No key is required but the secret name, from any of these.',
        schema: bootstrapSchema,
        filledIn: ['name', 'allow', 'allow.deliverTo'],
        variablesOf,
      },
      {
        title: 'Gateway config',
        introduction:
          'The value of the secret that the bootstrap config names: this JSON, base64 of it, or the same as SecretBinary.',
        schema: gatewaySchema,
      },
    ]),
    'config.schema.json': json(
      jsonSchemaOf(bootstrapSchema, { title: 'Gatehouse bootstrap config', isComplete: false }),
    ),
    'config.example.json': json(exampleBootstrap()),
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return undefined;
  }
}

const stale = Object.entries(generatedFiles()).filter(([path, content]) => contentOf(path) !== content);

if (process.argv.includes('--check')) {
  for (const [path] of stale) process.stdout.write(`${path} differs from its source: run npm run docs\n`);
  process.exitCode = stale.length === 0 ? 0 : 1;
} else {
  for (const [path, content] of stale) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
    process.stdout.write(`wrote ${path}\n`);
  }
}
