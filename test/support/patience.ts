/**
 * How long a wait may last before the test fails: as long as what it waits for may take on a machine that does five other
 * things, and longer than any wait of the program's own (the pipeline's back-off ends at 30 s). Nobody waits for it to
 * pass: it is only over when something is broken.
 */
export const patienceMs = 120_000;

/** The longest test that waits several times. */
export const testMsMax = 2.5 * patienceMs;

/** For `vi.waitFor`, whose own second is too short for a test beside as many others as there are cores. */
export const patient = { timeout: patienceMs, interval: 1 };
