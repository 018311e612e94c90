import { STSClient, STSServiceException } from '@aws-sdk/client-sts';
import type { Credentials } from './credential-source.ts';
import type { StsAccess } from './sts-access.ts';

/** What a scripted STS answers: a session, or an error by its AWS name. */
export interface StsScript {
  readonly error?: string;
  readonly status?: number;
  /** In place of the usual ones; undefined leaves the session out. */
  readonly session?: Readonly<Record<string, unknown>> | undefined;
}

/** AWS STS as a source meets it, without a network: what it was asked, by whom, and how many clients are still open. */
export function scriptedSts(script: (input: object) => StsScript) {
  const inputs: object[] = [];
  const by: (string | undefined)[] = [];
  let open = 0;

  const access: StsAccess = async (credentials?: Credentials) => {
    open += 1;
    const client = new STSClient({ region: 'eu-west-1' });
    return Object.assign(client, {
      async send(command: { input: object }) {
        inputs.push(command.input);
        by.push(credentials?.accessKeyId);
        const { error, status = 400, session } = script(command.input);
        if (error !== undefined) {
          throw new STSServiceException({
            name: error,
            $fault: 'client',
            message: `upstream text about ${JSON.stringify(command.input)}`.slice(0, 40),
            $metadata: { httpStatusCode: status },
          });
        }
        const usual = {
          AccessKeyId: 'ASIASESSION',
          SecretAccessKey: 'session-secret',
          SessionToken: 'session-token',
          Expiration: new Date(Date.now() + 3_600_000),
        };
        return { $metadata: {}, Credentials: session ?? usual };
      },
      destroy() {
        open -= 1;
      },
    });
  };
  return { access, inputs, by, open: () => open };
}
