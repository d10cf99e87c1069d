// A call's address: what stands in the fragment, which browsers never send to a server.
//
//   #conference=<32 hex>&key=<base64url of 32 bytes>                                    a call of this domain
//   #conference=…&key=…&sft_url=<URL of the anchor>&sft_tuple=<domain/capability>       a call anchored in another domain

import { toHex } from './crypto.js';

/** A call nobody knows of yet. */
export function newCall() {
  const conference = toHex(crypto.getRandomValues(new Uint8Array(16)));
  return { conference, key: crypto.getRandomValues(new Uint8Array(32)), sftUrl: null, sftTuple: null };
}

/** The call that a fragment names; null where it names none. Throws an Error for people where it is malformed. */
export function readFragment(fragment) {
  const fields = new URLSearchParams(fragment.replace(/^#/, ''));
  if (!fields.has('conference')) return null;
  const conference = fields.get('conference').toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(conference)) throw new Error('The link is damaged: the conference is not 32 hex digits.');
  const key = readKey(fields.get('key') ?? '');
  if (key?.length !== 32) throw new Error('The link is damaged: the key is not 32 bytes.');
  return { conference, key, sftUrl: fields.get('sft_url') || null, sftTuple: fields.get('sft_tuple') || null };
}

function readKey(base64url) {
  try {
    const letters = atob(base64url.replaceAll('-', '+').replaceAll('_', '/'));
    return Uint8Array.from(letters, (letter) => letter.charCodeAt(0));
  } catch {
    return null;
  }
}

/** The fragment of a call. */
export function writeFragment({ conference, key, sftUrl, sftTuple }) {
  const base64 = btoa(String.fromCharCode(...key));
  const fields = [`conference=${conference}`, `key=${base64.replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}`];
  if (sftUrl) fields.push(`sft_url=${encodeURIComponent(sftUrl)}`);
  if (sftTuple) fields.push(`sft_tuple=${encodeURIComponent(sftTuple)}`);
  return `#${fields.join('&')}`;
}

/** The page of another domain as someone typed it: its origin, or null where it is no web address. */
export function pageAddress(typed) {
  const trimmed = typed.trim();
  if (!trimmed) return null;
  try {
    const url = new URL(/^https?:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`);
    return `${url.origin}${url.pathname}`;
  } catch {
    return null;
  }
}
