import { describe, test } from 'node:test';
import { cancelLaws } from './driver-suite/cancels.ts';
import { crashLaws } from './driver-suite/crashes.ts';
import { manyLaws } from './driver-suite/many.ts';
import { runLaws } from './driver-suite/runs.ts';
import { World, type DriverGround } from './driver-suite/world.ts';

export type { DriverGround, ProcessParts } from './driver-suite/world.ts';

export type DriverSuiteOptions = {
  name: string;
  /** Fresh, empty data each time. A process is started on it when the one before has died, or beside others. */
  open(): Promise<DriverGround>;
  /** Laws this driver does not keep on this data, and why. A name that is no law fails. */
  skip?: readonly { reason: string; tests: readonly string[] }[];
};

/** The laws that two processes at once are needed for: to be declared where one process owns the data. */
export const TWO_WORKERS: readonly string[] = manyLaws.map(({ name }) => name);

/** Registers the laws that every driver keeps, as tests of node:test. Processes are killed as the outside sees it. */
export function driverSuite(options: DriverSuiteOptions): void {
  const laws = [...runLaws, ...cancelLaws, ...crashLaws, ...manyLaws];
  const reasons = new Map((options.skip ?? []).flatMap(({ reason, tests }) => tests.map((name) => [name, reason])));
  void describe(`driver suite: ${options.name}`, () => {
    for (const law of laws) {
      const reason = reasons.get(law.name);
      reasons.delete(law.name);
      void test(law.name, reason === undefined ? {} : { skip: reason }, async () => {
        const world = new World(await options.open());
        try {
          await law.run(world);
        } finally {
          await world.dispose();
        }
      });
    }
  });
  const unknown = [...reasons.keys()];
  if (unknown.length > 0) throw new Error(`no such laws to skip: ${unknown.join('; ')}`);
}
