import { type ErrorTable, errorsOf } from '../base/errors.ts';
import { exitCode } from '../base/exit-code.ts';

export const apiErrors = {
  API_SOCKET_UNAVAILABLE: {
    summary: 'a local socket cannot be created',
    remedy:
      'Check that the runtime directory exists, is on a file system with sockets, and belongs to the agent.',
    retry: false,
    exitCode: exitCode.cannotCreate,
  },
  API_ADDRESS_UNAVAILABLE: {
    summary: 'a loopback address cannot be listened on',
    remedy: 'See who has the port (ss -ltnp), or name another one in monitoring.listen.',
    retry: true,
    exitCode: exitCode.cannotCreate,
  },
  ENDPOINT_PORT_UNAVAILABLE: {
    summary: 'a port of a credential endpoint cannot be listened on',
    remedy:
      'See who has the port (ss -ltnp), or name another one that allow.listenPorts of the bootstrap config permits.',
    retry: true,
    exitCode: exitCode.cannotCreate,
  },
  AGENT_NOT_RUNNING: {
    summary: 'no agent answers on its control socket',
    remedy:
      'Start it (systemctl start gatehouse, or gatehouse run), or name its runtime directory in the config.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  AGENT_ACCESS_DENIED: {
    summary: 'the control socket belongs to another user',
    remedy: 'Ask as root or as the user that the agent runs as.',
    retry: false,
    exitCode: exitCode.refused,
  },
  AGENT_REPLY_INVALID: {
    summary: 'the agent’s answer on its control socket is broken',
    remedy: 'Look at the agent’s log; it may be stopping, or of another version than this command.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
} as const satisfies ErrorTable;

export const apiError = errorsOf(apiErrors);
