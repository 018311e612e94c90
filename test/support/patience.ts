/** For `vi.waitFor`, whose own second is too short for a test beside as many others as there are cores. */
export const patient = { timeout: 25_000, interval: 1 };
