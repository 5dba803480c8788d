/**
 * Where the paths of a call lead, and that it goes nowhere else. Rules on paths look at what a call names and at where that
 * leads (`reaches`); between the ruling and the call a link may be turned, by a command that runs beside it. So what is
 * opened is held against what was ruled on, by the path of the open descriptor (R1): before any of it is read or changed.
 */
import type { Reached, ToolContext } from '@perdure/runtime/ports';
import { ToolFailure } from '../failure.ts';
import type { FileSpace, Opened, SpaceOf } from './space.ts';
import { quote } from './space.ts';

/** The space without what the call was not ruled on; all of it where no rule looked at paths. */
export function heldTo(space: FileSpace, reached: readonly Reached[] | undefined): FileSpace {
  if (reached === undefined) return space;
  const admit = (shown: string): void => {
    if (!reached.some((place) => isIn(place, shown))) throw elsewhere(shown);
  };
  const held = async (opening: Promise<Opened>): Promise<Opened> => {
    const opened = await opening;
    try {
      admit(opened.shown);
      return opened;
    } catch (error) {
      await opened[Symbol.asyncDispose]();
      throw error;
    }
  };
  return {
    ...space,
    open: async (path, wanted) => held(space.open(path, wanted)),
    openToChange: async (path) => held(space.openToChange(path)),
    openFound: async (at, kind) => held(space.openFound(at, kind)),
    change: async (wishes, { key, attempt, signal }) => space.change(wishes, { key, attempt, signal, admit }),
  };
}

function isIn({ path, tree }: Reached, shown: string): boolean {
  return shown === path || (tree && (path === '.' || shown.startsWith(`${path}/`)));
}

const elsewhere = (shown: string): ToolFailure =>
  new ToolFailure('leads_elsewhere', `${quote(shown)} is not where this call led when it was ruled on: call again.`);

/** What a tool tells of the paths in its arguments. What leads nowhere is left out: the call is refused there, too. */
export function reachIn<Args>(spaceOf: SpaceOf, named: (args: Args) => readonly Reached[]) {
  return async (args: Args, context: Pick<ToolContext, 'signal' | 'workspaces'>): Promise<Reached[]> => {
    const reached: Reached[] = [];
    try {
      const space = spaceOf(context);
      for (const { path, tree } of named(args)) {
        context.signal.throwIfAborted();
        const led = await space.reach(path);
        if (led !== null) reached.push({ path: led, tree });
      }
    } catch (error) {
      if (!(error instanceof ToolFailure)) throw error;
    }
    return reached;
  };
}
