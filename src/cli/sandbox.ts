import { agentError, agentErrors } from '../agent/errors.ts';
import type { Problem } from '../base/errors.ts';
import { stopSignal } from '../system/signals.ts';
import { command } from './command.ts';

/** `gatehouse sandbox`: the local AWS, until SIGTERM. */
export const sandboxCommand = command({
  usage: 'sandbox',
  summary: 'Run the local AWS that tests and demonstrations use',
  options: {
    port: {
      type: 'number',
      default: 0,
      describe: 'Port on 127.0.0.1; 0 takes a free one',
      requiresArg: true,
    },
    tls: { type: 'boolean', default: false, describe: 'Serve https with a throwaway CA' },
    faults: { type: 'string', describe: 'JSON file of faults to inject', requiresArg: true },
    state: {
      type: 'string',
      describe: 'File to keep the state in; without it nothing is kept',
      requiresArg: true,
    },
    region: { type: 'string', describe: 'Region it plays', requiresArg: true },
  },
  async run(args, { stdout }) {
    if (!isPort(args.port)) throw agentError('USAGE', { problem: '--port takes a number from 0 to 65535' });
    const { serve } = await loadSandbox(() => import('../../sandbox/serve.ts'));
    const serving = serve(
      {
        port: args.port,
        tls: args.tls,
        json: args.json,
        ...(args.faults === undefined ? {} : { faultsFile: args.faults }),
        ...(args.state === undefined ? {} : { stateFile: args.state }),
        ...(args.region === undefined ? {} : { region: args.region }),
        write: (line) => stdout.write(`${line}\n`),
      },
      stopSignal(),
    );
    await serving.catch((error: unknown) => {
      throw asOurs(error, args.port);
    });
    return 0;
  },
});

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65_535;
}

type SandboxCode = Extract<keyof typeof agentErrors, `SANDBOX_${string}`>;

/** The sandbox imports nothing of ours, so its errors are translated here: the codes are the same. */
function asOurs(error: unknown, port: number): unknown {
  if (!(error instanceof Error && 'code' in error && isSandboxCode(error.code))) return error;
  if (error.code === 'SANDBOX_ADDRESS_IN_USE') return agentError(error.code, { port }, error.cause);
  return agentError(
    error.code,
    'problems' in error ? { problems: problemsIn(error.problems) } : {},
    error.cause,
  );
}

function problemsIn(value: unknown): Problem[] {
  return Array.isArray(value)
    ? value.filter((each): each is Problem => 'path' in each && 'message' in each)
    : [];
}

function isSandboxCode(code: unknown): code is SandboxCode {
  return typeof code === 'string' && code.startsWith('SANDBOX_') && Object.hasOwn(agentErrors, code);
}

/** Imports a part of the sandbox, which a production installation does not carry. */
export async function loadSandbox<Module>(load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND';
    throw isAbsent ? agentError('SANDBOX_NOT_INCLUDED', {}, error) : error;
  }
}
