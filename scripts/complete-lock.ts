// Completes package-lock.json: a registry that lacks the binary of some platform makes npm leave its entry out, and then
// `npm ci` refuses the lock everywhere. Run it after any `npm install` that changed the lock; `npm run check` says when.
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { completeLock, missingFromLock, type Lock } from './check/lock.ts';

const path = resolve(import.meta.dirname, '..', 'package-lock.json');
const lock = JSON.parse(readFileSync(path, 'utf8')) as Lock;
const missing = missingFromLock(lock);
if (missing.length > 0) writeFileSync(path, `${JSON.stringify(completeLock(lock), null, 2)}\n`);
process.stdout.write(`${missing.length} entries added\n`);
