import { existsSync } from 'node:fs';

/** What container engines leave where a process can see it: Docker, Podman. */
const marks = ['/.dockerenv', '/run/.containerenv'];

/** What orchestrators set: Kubernetes, ECS, and what Podman and systemd-nspawn tell the first process. */
const variables = ['KUBERNETES_SERVICE_HOST', 'ECS_CONTAINER_METADATA_URI_V4', 'container'];

/** Whether this looks like a container: good for a hint, not for a decision. */
export function isInsideContainer(env: Readonly<Record<string, string | undefined>>): boolean {
  return variables.some((name) => env[name]) || marks.some((path) => existsSync(path));
}
