/** Seeded choices: the same seed makes the same plan, whatever the machine does with it. */
export type Dice = {
  /** From 0 up to and without `count`. */
  below(count: number): number;
  /** Both ends included. */
  between(least: number, most: number): number;
  chance(probability: number): boolean;
  pick<T>(list: readonly [T, ...T[]]): T;
};

export function dice(seed: number): Dice {
  let state = seed >>> 0;
  // Weyl sequence through a 32-bit mixer (the finaliser of MurmurHash3).
  const next = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
    mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  };
  const below = (count: number): number => Math.floor((next() / 2 ** 32) * count);
  return {
    below,
    between: (least, most) => least + below(most - least + 1),
    chance: (probability) => next() / 2 ** 32 < probability,
    pick: (list) => list[below(list.length)] ?? list[0],
  };
}
