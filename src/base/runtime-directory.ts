/** Where sockets and delivered secrets are unless somebody says otherwise. */
export const runtimeDirectoryDefault = '/run/gatehouse';
