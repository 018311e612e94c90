import type { Invocation } from './command.ts';
import type { Line, Tone } from './top-screen.ts';
import { fitted } from './top-screen.ts';

/** A terminal that is drawn on as a whole, and given back as it was. */
export interface Screen {
  draw(lines: readonly Line[]): void;
  /** Gives the terminal back; more than once is the same as once. */
  close(): void;
}

export interface ScreenParts {
  readonly terminal: Pick<Invocation, 'stdin' | 'stdout'>;
  readonly hasColour: boolean;
  /** `q`, Escape, Ctrl-C or Ctrl-D was pressed. */
  readonly onQuit: () => void;
}

const escape = '\u001b';
/** The alternate screen, without a cursor; and back. */
const enter = `${escape}[?1049h${escape}[?25l`;
const leave = `${escape}[?25h${escape}[?1049l`;
/** A terminal that knows it shows what lies between at once; one that does not, ignores it. */
const begin = `${escape}[?2026h${escape}[H`;
const end = `${escape}[J${escape}[?2026l`;
const untilLineEnd = `${escape}[K`;

const sequences: Readonly<Record<Tone, string>> = {
  plain: '',
  strong: `${escape}[1m`,
  dim: `${escape}[2m`,
  good: `${escape}[32m`,
  warn: `${escape}[33m`,
  bad: `${escape}[31m`,
};
const reset = `${escape}[0m`;

const quitKeys = new Set(['q', 'Q', escape, '\u0003', '\u0004']);
const usualSize = { columns: 80, rows: 24 };

/** Takes the terminal. It is given back at the latest when the process exits, however it does. */
export function openScreen({ terminal: { stdin, stdout }, hasColour, onQuit }: ScreenParts): Screen {
  let shown: readonly Line[] = [];
  let isClosed = false;

  const onKey = (keys: Buffer): void => {
    if (quitKeys.has(keys.toString('latin1'))) onQuit();
  };
  const paint = (): void => {
    const columns = stdout.columns || usualSize.columns;
    const rows = stdout.rows || usualSize.rows;
    const lines = fitted(shown, columns, rows).map((line) => `${painted(line)}${untilLineEnd}`);
    // No newline after the last: at the bottom it would scroll.
    stdout.write(`${begin}${lines.join('\r\n')}${end}`);
  };

  function painted(line: Line): string {
    if (!hasColour) return line.map(([, text]) => text).join('');
    return line
      .map(([tone, text]) => (tone === 'plain' ? text : `${sequences[tone]}${text}${reset}`))
      .join('');
  }

  function close(): void {
    if (isClosed) return;
    isClosed = true;
    stdout.off('resize', paint);
    process.off('exit', close);
    if (stdin.isTTY) {
      stdin.off('data', onKey);
      stdin.setRawMode(false);
      stdin.pause();
    }
    stdout.write(leave);
  }

  process.on('exit', close);
  stdout.on('resize', paint);
  if (stdin.isTTY) {
    stdin.setRawMode(true);
    stdin.on('data', onKey);
    stdin.resume();
  }
  stdout.write(enter);

  return {
    draw(lines) {
      if (isClosed) return;
      shown = lines;
      paint();
    },
    close,
  };
}
