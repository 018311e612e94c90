import { z } from 'zod';
import { Secret } from '../base/secret.ts';
import type { Credentials } from './credential-source.ts';

/** https://docs.aws.amazon.com/cli/v1/userguide/cli-configure-sourcing-external.html */
const format = z.object({
  Version: z.literal(1),
  AccessKeyId: z.string().min(1),
  SecretAccessKey: z.string().min(1),
  SessionToken: z.string().min(1).optional(),
  Expiration: z.iso.datetime({ offset: true }).optional(),
  AccountId: z
    .string()
    .regex(/^\d{12}$/u)
    .optional(),
});

const sessionFormat = format.required({ SessionToken: true, Expiration: true });

/** What a credential process wrote: credentials, or what is wrong with it. */
export type ProcessOutput =
  | { readonly credentials: Omit<Credentials, 'source'> }
  /** Names of fields that are missing or wrong; of the whole, when it is not a JSON object. */
  | { readonly isJson: boolean; readonly fields: readonly string[] };

/**
 * Reads version 1 of the `credential_process` format; fields beyond it are ignored. Nothing of what was written goes
 * into a fault but known names. `sessionOnly`: long-term keys are a fault too.
 */
export function processOutput(stdout: Buffer, { sessionOnly = false } = {}): ProcessOutput {
  let document: unknown;
  try {
    document = JSON.parse(stdout.toString('utf8'));
  } catch {
    return { isJson: false, fields: [] };
  }
  const parsed = (sessionOnly ? sessionFormat : format).safeParse(document);
  if (!parsed.success) {
    const fields = parsed.error.issues.map((issue) => String(issue.path[0] ?? issue.code));
    return { isJson: true, fields: [...new Set(fields)] };
  }
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration, AccountId } = parsed.data;
  return {
    credentials: {
      accessKeyId: AccessKeyId,
      secretAccessKey: Secret.ofText(SecretAccessKey),
      ...(SessionToken === undefined ? {} : { sessionToken: Secret.ofText(SessionToken) }),
      ...(Expiration === undefined ? {} : { expiration: new Date(Expiration) }),
      ...(AccountId === undefined ? {} : { accountId: AccountId }),
    },
  };
}
