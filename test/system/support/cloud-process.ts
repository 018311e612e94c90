/**
 * A program: the sandbox on port 4566, and the operator who fills it, in whatever network namespace it is started.
 * Steered by messages from its parent; see cloud.ts.
 */
import { operatorOf } from '../../../sandbox/demo/operator.ts';
import { createSandbox } from '../../../sandbox/sandbox.ts';
import type { CloudAnswer, CloudQuestion } from './cloud.ts';

const sandbox = createSandbox();
const listener = await sandbox.listen({ port: 4566 });
const operator = operatorOf(sandbox, listener.url);
const away = { kind: 'error', name: 'ServiceUnavailableException', status: 503 } as const;

process.on('message', (question: CloudQuestion) => void answer(question));
process.on('disconnect', () => process.exit(0));
send({ id: 0, value: { url: listener.url, region: sandbox.region } });

async function answer({ id, ask, args }: CloudQuestion): Promise<void> {
  const [first = '', second = ''] = args;
  try {
    switch (ask) {
      case 'createKey':
        return send({ id, value: await operator.createKey(first) });
      case 'createSecret':
        return send({ id, value: await operator.createSecret(first, second) });
      case 'putSecret':
        return send({ id, value: await operator.putSecret(first, second) });
      case 'messages':
        return send({ id, value: await operator.messages(first, second) });
      case 'loseLogs':
        return send({ id, value: sandbox.faults.add({ service: 'logs', effect: away }) });
      case 'findLogs':
        return send({ id, value: sandbox.faults.clear() });
    }
  } catch (error) {
    send({ id, error: String(error) });
  }
}

function send(message: CloudAnswer): void {
  process.send?.(message);
}
