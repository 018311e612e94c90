import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Launch } from '../../src/agent/launch.ts';
import { systemClock } from '../../src/base/clock.ts';

export interface OperatorLaunch {
  /** Where the bootstrap config is written to. */
  readonly folder: string;
  /** Of the sandbox. */
  readonly url: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** The bootstrap config; empty where absent. */
  readonly bootstrap?: Readonly<Record<string, unknown>>;
  /** Beside where AWS is and the operator's key. */
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Launch['clock'];
  readonly writeLog?: Launch['writeLog'];
}

/** What a command starts with that an operator types: a bootstrap config in a file, and an environment of his own. */
export function operatorLaunch(options: OperatorLaunch): Launch {
  const { folder, url, credentials, bootstrap = {}, env = {}, clock = systemClock } = options;
  const { writeLog = () => undefined } = options;
  const config = join(folder, 'config.json');
  writeFileSync(config, JSON.stringify(bootstrap), { mode: 0o600 });
  return {
    flags: { config },
    env: {
      AWS_ENDPOINT_URL: url,
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: credentials.accessKeyId,
      AWS_SECRET_ACCESS_KEY: credentials.secretAccessKey,
      ...env,
    },
    clock,
    version: '0.0.0',
    logForm: 'json',
    writeLog,
  };
}
