import type { STSClient } from '@aws-sdk/client-sts';
import type { Credentials } from './credential-source.ts';

/**
 * Makes a client of AWS STS for one call: it signs with these credentials, or not at all where there are none, as for
 * the exchange of a token. Whoever asked for it destroys it.
 */
export type StsAccess = (credentials?: Credentials) => Promise<Pick<STSClient, 'send' | 'destroy'>>;
