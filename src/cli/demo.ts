import { hasColour } from './colour.ts';
import { command } from './command.ts';

/** `gatehouse demo`: the main job, end to end, against the embedded sandbox. */
export const demoCommand = command({
  usage: 'demo',
  summary: 'Watch the main job, end to end, against the embedded sandbox',
  options: {},
  async run(_args, { stdout, env }) {
    const { loadSandbox } = await import('./sandbox.ts');
    const { demo } = await loadSandbox(() => import('../../sandbox/demo/demo.ts'));
    return demo({
      agent: [process.execPath, ...process.execArgv, process.argv[1] ?? ''],
      write: (text) => stdout.write(text),
      colour: stdout.isTTY && hasColour(env),
    });
  },
});
