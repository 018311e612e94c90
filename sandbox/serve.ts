import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseFaults } from './faults.ts';
import { createSandbox, type Sandbox, type SandboxListener } from './sandbox.ts';
import { SandboxError } from './sandbox-error.ts';

export interface ServeOptions {
  /** 0 for any that is free. */
  readonly port: number;
  readonly host?: string;
  readonly tls: boolean;
  /** One JSON line instead of `export` lines. */
  readonly json: boolean;
  /** Faults to start with: `{ "faults": [ … ] }`. */
  readonly faultsFile?: string;
  /** Where state is read from, if it exists, and written to at the end. Without it nothing outlives the process. */
  readonly stateFile?: string;
  readonly region?: string;
  /** Takes one line, without its end. */
  write(line: string): void;
}

type Environment = Readonly<Record<string, string>>;

/** What `--json` prints: how to reach this sandbox, as a user, as an instance and as a container. */
export interface Served {
  readonly endpoint: string;
  readonly region: string;
  readonly accountId: string;
  /** For a client with a user's long-term keys. */
  readonly environment: Environment;
  /** For a client that has nothing but instance metadata. */
  readonly instance: {
    readonly environment: Environment;
    readonly role: string;
    readonly instanceId: string;
  };
  /** For a client that has nothing but the container endpoint. */
  readonly container: { readonly environment: Environment; readonly role: string };
  readonly admin: { readonly url: string; readonly token: string };
}

/** Runs a sandbox until `signal` aborts. Throws SandboxError for what keeps it from starting. */
export async function serve(options: ServeOptions, signal: AbortSignal): Promise<void> {
  const { port, host = '127.0.0.1', tls, faultsFile, stateFile, region } = options;
  const sandbox = createSandbox(region === undefined ? {} : { region });
  if (faultsFile !== undefined) {
    for (const rule of parseFaults(readJson(faultsFile))) sandbox.faults.add(rule);
  }
  const kept = stateFile === undefined ? undefined : readIfThere(stateFile);
  if (kept !== undefined) sandbox.restore(kept);

  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-sandbox-'));
  const listeners: SandboxListener[] = [];
  try {
    const main = await sandbox.listen({ port, host, tls });
    listeners.push(main);
    // SDKs fetch instance metadata over plain HTTP only.
    const plain = tls ? await sandbox.listen({ host, credentialsOnly: true }) : main;
    if (plain !== main) listeners.push(plain);

    const served = describe(sandbox, main, plain, directory);
    for (const line of options.json ? [JSON.stringify(served)] : exportLines(served.environment)) {
      options.write(line);
    }
    await aborted(signal);
  } finally {
    await Promise.all(listeners.map((listener) => listener.close()));
    rmSync(directory, { recursive: true, force: true });
    if (stateFile !== undefined && listeners.length > 0) writeAtomically(stateFile, sandbox.snapshot());
  }
}

function describe(
  sandbox: Sandbox,
  main: SandboxListener,
  plain: SandboxListener,
  directory: string,
): Served {
  const { region, accountId, instance, container, adminToken } = sandbox;
  const tokenFile = join(directory, 'container-authorization-token');
  writeFileSync(tokenFile, container.authorizationToken, { mode: 0o600 });

  const shared: Environment = {
    AWS_ENDPOINT_URL: main.url,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    ...trust(main, directory),
  };
  const metadata: Environment = { AWS_EC2_METADATA_SERVICE_ENDPOINT: plain.url };
  const user = sandbox.identities.createUser('sandbox');
  return {
    endpoint: main.url,
    region,
    accountId,
    environment: {
      ...shared,
      AWS_ACCESS_KEY_ID: user.accessKeyId,
      AWS_SECRET_ACCESS_KEY: user.secretAccessKey,
      ...metadata,
    },
    instance: {
      environment: { ...shared, ...metadata },
      role: instance.role ?? '',
      instanceId: instance.instanceId,
    },
    container: {
      environment: {
        ...shared,
        AWS_CONTAINER_CREDENTIALS_FULL_URI: `${plain.url}${container.path}`,
        AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
        AWS_EC2_METADATA_DISABLED: 'true',
      },
      role: container.role ?? '',
    },
    admin: { url: `${main.url}/_sandbox`, token: adminToken },
  };
}

function trust({ caPem }: SandboxListener, directory: string): Environment {
  if (caPem === undefined) return {};
  const file = join(directory, 'ca.pem');
  writeFileSync(file, `${caPem}\n`);
  return { AWS_CA_BUNDLE: file, NODE_EXTRA_CA_CERTS: file };
}

/** Lines for `eval`. Every value is one of ours: letters, digits and URL characters, yet quoted for the shell. */
function exportLines(environment: Environment): string[] {
  return Object.entries(environment).map(
    ([name, value]) => `export ${name}='${value.replaceAll("'", "'\\''")}'`,
  );
}

function readJson(file: string): unknown {
  const text = read(file);
  try {
    return JSON.parse(text);
  } catch (error) {
    const problems = [{ path: file, message: 'is not JSON' }];
    throw new SandboxError('SANDBOX_FAULTS_INVALID', `${file} is not JSON`, problems, error);
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw unreadable(file, error);
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw unreadable(file, error);
  }
}

function unreadable(file: string, cause: unknown): SandboxError {
  const problems = [{ path: file, message: 'cannot be read' }];
  return new SandboxError('SANDBOX_FILE_UNREADABLE', `${file} cannot be read`, problems, cause);
}

function writeAtomically(file: string, text: string): void {
  const fresh = `${file}.${process.pid}.new`;
  writeFileSync(fresh, text, { mode: 0o600, flush: true });
  renameSync(fresh, file);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
