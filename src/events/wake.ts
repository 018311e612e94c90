/** A bell for one listener: rings that nobody waits for are remembered as one. */
export interface Wake {
  readonly ring: () => void;
  /** Resolves at the next ring, at once if one came since the last wait; also when `signal` aborts. */
  rung(signal: AbortSignal): Promise<void>;
}

export function wake(): Wake {
  let isRung = false;
  let notify: (() => void) | undefined;

  return {
    ring() {
      isRung = true;
      notify?.();
    },
    async rung(signal) {
      if (!isRung && !signal.aborted) {
        await new Promise<void>((resolve) => {
          notify = resolve;
          signal.addEventListener('abort', notifyAborted, { once: true });
        });
        signal.removeEventListener('abort', notifyAborted);
        notify = undefined;
      }
      isRung = false;
    },
  };

  function notifyAborted(): void {
    notify?.();
  }
}
