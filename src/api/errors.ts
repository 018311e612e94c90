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
  API_SOCKET_PATH_TOO_LONG: {
    summary:
      'the path of a local socket is too long: it could not be bound, or no program could connect to it',
    remedy: 'Take a shorter runtimeDirectory, or a shorter name of the consumer.',
    retry: false,
    exitCode: exitCode.configuration,
  },
  API_SOCKET_OWNER_REFUSED: {
    summary: 'a local socket cannot be given to its owner',
    remedy:
      'Have systemd open the socket (docs/credentials.md), or give the agent CAP_CHOWN; without either, only sockets of its own user can be made.',
    retry: false,
    exitCode: exitCode.refused,
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
  CONSUMER_SOCKET_MISSING: {
    summary: 'nobody listens on the socket of this consumer',
    remedy:
      'See with gatehouse status whether the agent runs and the consumer has a socket; name the runtime directory in GATEHOUSE_RUNTIME_DIRECTORY where it is not /run/gatehouse.',
    retry: true,
    exitCode: exitCode.unavailable,
  },
  CONSUMER_SOCKET_DENIED: {
    summary: 'the socket of this consumer belongs to another user',
    remedy: 'Ask as its owner, or as a member of its group where its mode lets the group in.',
    retry: false,
    exitCode: exitCode.refused,
  },
  CONSUMER_NOT_SERVED: {
    summary: 'the agent has no credentials for this consumer now',
    remedy: 'See what the agent’s log and gatehouse status say of the consumer; the details hold the code.',
    retry: true,
    exitCode: exitCode.unavailable,
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
