/** How secrets are named everywhere: in configs, contexts, logs and file names. */
export const secretNamePattern = /^[A-Za-z0-9._-]{1,128}$/u;
