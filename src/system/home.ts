import { homedir } from 'node:os';

/**
 * A container may run as a user that has no account, and so no home: then Node throws where the AWS SDK asks for one, as it
 * does for every client. Container engines take `/` for it, and so does this process from here on.
 */
export function giveHome(env: NodeJS.ProcessEnv, accountHome: () => string = homedir): void {
  try {
    accountHome();
  } catch {
    env['HOME'] = '/';
  }
}
