import { hash as digestOf } from 'node:crypto';
import type { Append, Body, Digest, Frame, Head } from '@perdure/runtime/ports';
import { StoreError } from './errors.ts';

/** SHA-256(previous hash ‖ frame), hex. The previous hash of a first frame is ''. */
export function frameHash(previous: string, bytes: Uint8Array): string {
  if (previous === '') return digestOf('sha256', bytes, 'hex');
  const joined = Buffer.allocUnsafe(32 + bytes.length);
  joined.write(previous, 0, 'hex');
  joined.set(bytes, 32);
  return digestOf('sha256', joined, 'hex');
}

/** SHA-256(salt ‖ text) over UTF-8, base64url. */
export function bodyDigest(body: Pick<Body, 'salt' | 'text'>): Digest {
  return digestOf('sha256', body.salt + body.text, 'base64url');
}

export function blobDigest(bytes: Uint8Array): Digest {
  return digestOf('sha256', bytes, 'base64url');
}

export function sameHead(a: Head, b: Head): boolean {
  return a.seq === b.seq && a.hash === b.hash;
}

export function headAfter(frame: Frame): Head {
  return { seq: frame.first + frame.count - 1, hash: frame.hash };
}

/** A frame must continue the head it names: anything else is a bug of the caller, and would read as damage later. */
export function checkContinuity(request: Append): void {
  const { expectedHead, frame, session } = request;
  if (frame.first !== expectedHead.seq + 1 || frame.count < 1) {
    throw new StoreError('invalid_append', `the frame of ${session} does not begin after seq ${expectedHead.seq}`);
  }
  if (frameHash(expectedHead.hash, frame.bytes) !== frame.hash) {
    throw new StoreError('invalid_append', `the frame of ${session} at seq ${frame.first} breaks the hash chain`);
  }
}
