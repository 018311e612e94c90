import { chmod, chown, mkdtemp, rename, rm, rmdir } from 'node:fs/promises';
import type { Server } from 'node:http';
import { dirname, join } from 'node:path';
import { GatehouseError } from '../base/errors.ts';
import { socketFolderPrefix, socketPathBytesMax } from '../base/path-rules.ts';
import { apiError } from './errors.ts';

export interface SocketPermissions {
  readonly mode: number;
  /** Those of the process where not given. */
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
}

/**
 * Has a server listen on a unix socket. It is bound in a private folder and renamed into place, so owner, group and
 * mode are right from the first instant that its name exists; one left by a killed agent is replaced.
 * @throws API_SOCKET_UNAVAILABLE, API_SOCKET_OWNER_REFUSED, API_SOCKET_PATH_TOO_LONG
 */
export async function bindSocket(
  server: Server,
  path: string,
  { mode, uid, gid }: SocketPermissions,
): Promise<void> {
  const pathBytes = Buffer.byteLength(path);
  const pathBytesMax = socketPathBytesMax(path);
  if (pathBytes > pathBytesMax) throw apiError('API_SOCKET_PATH_TOO_LONG', { path, pathBytes, pathBytesMax });
  try {
    const privateFolder = await mkdtemp(join(dirname(path), socketFolderPrefix));
    const unnamed = join(privateFolder, 's');
    try {
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject);
        server.listen(unnamed, resolve);
      });
      // -1: left as it is, chown(2).
      if (uid !== undefined || gid !== undefined) {
        await chown(unnamed, uid ?? -1, gid ?? -1).catch((error: unknown) => {
          throw apiError('API_SOCKET_OWNER_REFUSED', { path, uid, gid }, error);
        });
      }
      await chmod(unnamed, mode);
      await rename(unnamed, path);
    } finally {
      await rm(unnamed, { force: true });
      await rmdir(privateFolder);
    }
  } catch (error) {
    server.close();
    throw error instanceof GatehouseError ? error : apiError('API_SOCKET_UNAVAILABLE', { path }, error);
  }
}
