// Holds each package.json against the import table: allowed dependencies, exact versions, one version of each library.
import type { Manifest, Manifests } from './imports.ts';
import { PACKAGES_MAX, TABLE } from './table.ts';

const EXACT = /^\d+\.\d+\.\d+(-[\w.]+)?$/;
const SCOPE = '@perdure/';
const INSTALL_HOOKS = ['preinstall', 'install', 'postinstall', 'prepare', 'prepublish'];

export function checkManifests(manifests: Manifests): string[] {
  const folders = Object.keys(manifests).filter((folder) => folder !== '');
  const problems = folders.flatMap((folder) => checkManifest(folder, manifests[folder]!));
  if (folders.length > PACKAGES_MAX) {
    problems.push(`${folders.length} packages: more than ${PACKAGES_MAX} need a decision record`);
  }
  problems.push(...checkVersions(manifests));
  const pinned = (folder: string): string => JSON.stringify(manifests[folder]?.optionalDependencies ?? {});
  if (pinned('') !== pinned('perdure')) problems.push('the root and packages/perdure pin different Node binaries');
  return problems;
}

function checkManifest(folder: string, manifest: Manifest): string[] {
  const row = TABLE[folder];
  const at = `packages/${folder}/package.json`;
  if (row === undefined) return [`${at}: ${folder} has no row in scripts/check/table.ts`];
  const problems: string[] = [];
  const published = folder === 'perdure';
  if (manifest.name !== (published ? folder : `${SCOPE}${folder}`)) problems.push(`${at}: is named '${manifest.name}'`);
  if (published === (manifest.private === true)) problems.push(`${at}: only perdure is published`);
  for (const hook of INSTALL_HOOKS) {
    if (manifest.scripts?.[hook] !== undefined) problems.push(`${at}: has the install script '${hook}'`);
  }
  const listed = { ...manifest.dependencies, ...manifest.peerDependencies };
  for (const name of Object.keys(listed)) {
    const allowed = name.startsWith(SCOPE)
      ? row.workspace.includes(name.slice(SCOPE.length))
      : row.libraries.includes(name);
    if (!allowed) problems.push(`${at}: depends on '${name}', which is not in the table for ${folder}`);
  }
  return problems;
}

function checkVersions(manifests: Manifests): string[] {
  const problems: string[] = [];
  const seen = new Map<string, string>();
  for (const [folder, manifest] of Object.entries(manifests)) {
    const at = folder === '' ? 'package.json' : `packages/${folder}/package.json`;
    const { dependencies, devDependencies, optionalDependencies } = manifest;
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
      if (!EXACT.test(version)) problems.push(`${at}: '${name}' is not pinned exactly (${version})`);
      const other = seen.get(name);
      if (other !== undefined && other !== version)
        problems.push(`${at}: '${name}' ${version} differs from ${other} elsewhere`);
      seen.set(name, version);
    }
  }
  return problems;
}
