/**
 * Loaded into a server before anything else (`--import`): its wall clock is wrong, and changes its mind while it runs.
 * CLOCK_OFFSETS_MS: offsets from the real time, each in force for CLOCK_HOLD_MS, the last one from then on.
 */
const offsets = (process.env['CLOCK_OFFSETS_MS'] ?? '0').split(',').map(Number);
const holdMs = Number(process.env['CLOCK_HOLD_MS'] ?? '100');
const real = Date.now.bind(Date);
const startedAt = performance.now();

Date.now = () => {
  const n = Math.min(offsets.length - 1, Math.floor((performance.now() - startedAt) / holdMs));
  return real() + (offsets[n] ?? 0);
};
