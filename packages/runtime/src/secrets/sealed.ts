/** A secret as it lies in its document: its value sealed with a key of its own, that key with one of the keys of secrets. */
import { z } from 'zod';
import type { Random } from '../ports.ts';
import { SecretsError } from './errors.ts';
import type { SecretKey } from './keys.ts';
import { KEY_BYTES, seal, unseal } from './seal.ts';

const names = z.array(z.string()).readonly().exactOptional();
const sealedSchema = z.strictObject({
  version: z.int().min(1),
  bindings: z.strictObject({ hosts: names, tools: names, commands: names }),
  /** Wall time, ms. */
  setAt: z.int(),
  /** The one its key is sealed with. */
  key: z.string(),
  dataKey: z.string(),
  value: z.string(),
});
const deletedSchema = z.strictObject({ version: z.int().min(1), deleted: z.literal(true) });
export type Sealed = z.output<typeof sealedSchema>;
export type Deleted = z.output<typeof deletedSchema>;

export const isSealed = (doc: unknown): doc is Sealed => sealedSchema.safeParse(doc).success;
export const isDeleted = (doc: unknown): doc is Deleted => deletedSchema.safeParse(doc).success;
/** 0: nothing that says one. */
export const versionOf = (doc: unknown): number => (isSealed(doc) || isDeleted(doc) ? doc.version : 0);

/** Where it belongs: `revision` is that of its document. */
export type Place = { tenant: string; name: string; revision: number };
type About = Pick<Sealed, 'version' | 'bindings' | 'setAt'>;

const valueAbout = ({ tenant, name }: Place, { version, bindings, setAt }: About): readonly unknown[] => {
  const { hosts = null, tools = null, commands = null } = bindings;
  return ['perdure secret value 1', tenant, name, version, setAt, hosts, tools, commands];
};
const keyAbout = ({ tenant, name, revision }: Place, version: number, key: string): readonly unknown[] => [
  'perdure secret data key 1',
  tenant,
  name,
  revision,
  version,
  key,
];

export function sealValue(key: SecretKey, place: Place, about: About, value: string, random: Random): Sealed {
  const dataKey = random.bytes(KEY_BYTES);
  return {
    ...about,
    key: key.id,
    dataKey: seal(key.bytes, dataKey, keyAbout(place, about.version, key.id), random),
    value: seal(dataKey, Buffer.from(value), valueAbout(place, about), random),
  };
}

/** Throws SecretsError `secret_key_unknown`, `secret_damaged`. */
export function openValue(keys: readonly SecretKey[], place: Place, sealed: Sealed): string {
  const { version, key: id, dataKey, value } = sealed;
  const key = keys.find((each) => each.id === id);
  if (key === undefined)
    throw new SecretsError('secret_key_unknown', `the key ${id} that it was sealed with is not here: set it anew`);
  const opened = unseal(key.bytes, dataKey, keyAbout(place, version, id));
  return unseal(opened, value, valueAbout(place, sealed)).toString();
}

/** The same secret for the next revision, its key sealed with `next`. Null: it does not open, and nothing is lost with its key. */
export function resealed(key: SecretKey, next: SecretKey, place: Place, sealed: Sealed, random: Random): Sealed | null {
  let dataKey: Buffer;
  try {
    dataKey = unseal(key.bytes, sealed.dataKey, keyAbout(place, sealed.version, key.id));
  } catch {
    return null;
  }
  const about = keyAbout({ ...place, revision: place.revision + 1 }, sealed.version, next.id);
  return { ...sealed, key: next.id, dataKey: seal(next.bytes, dataKey, about, random) };
}
