/** PutLogEvents refuses events older than 14 days or more than two hours ahead; a minute is for the way there. */
const minuteMs = 60 * 1000;
const oldestMs = 14 * 24 * 60 * minuteMs - minuteMs;
const newestMs = 120 * minuteMs - minuteMs;

/** Whether CloudWatch Logs would take an event of this time. */
export function isShippable(timeMs: number, nowMs: number): boolean {
  return (
    Number.isSafeInteger(timeMs) && timeMs >= 0 && timeMs > nowMs - oldestMs && timeMs < nowMs + newestMs
  );
}
