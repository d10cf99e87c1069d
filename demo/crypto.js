// End-to-end encryption: keys and the form of an encrypted frame. Nothing here knows of WebRTC or the page.
//
// All keys come from the conference key, which travels in the fragment of the page's address and so never reaches a server.
//
//   frame key of a sender = HKDF-SHA-256(conference key, salt: conference id, info: "anchor frame <kind> <userid>")   AES-256-GCM
//   name key              = HKDF-SHA-256(conference key, salt: conference id, info: "anchor name")                   AES-256-GCM
//
//   encrypted frame = ciphertext ‖ tag (16) ‖ trailer (9)
//   trailer         = counter (4) ‖ sender (4) ‖ version and layer (1)      authenticated, not encrypted
//   IV              = sender (4) ‖ 0 (4) ‖ counter (4)
//
// `sender` is the sender's ssrc_audio or ssrc_video of the roster. A counter is never used twice: it runs through all frames of a
// tab, the key is bound to the userid, and every tab draws a new one.

const VERSION = 1;
const TRAILER_BYTES = 9;
const TAG_BYTES = 16;
const IV_BYTES = 12;
/** What the trailer says about the simulcast layer of a frame. */
export const LAYERS = ['', 'l', 'h'];
/** Bytes of a display name, so that it fits into one property (256 bytes in base64). */
export const MAX_NAME_BYTES = 120;

const text = new TextEncoder();

/** Imports the 32 bytes of a conference key for the functions below. */
export function importConferenceKey(bytes) {
  return crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey']);
}

function derive(conferenceKey, conference, purpose) {
  const parameters = { name: 'HKDF', hash: 'SHA-256', salt: text.encode(conference), info: text.encode(purpose) };
  return crypto.subtle.deriveKey(parameters, conferenceKey, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt']);
}

/** The key of one sender's audio or video frames. */
export function frameKey(conferenceKey, conference, kind, userid) {
  return derive(conferenceKey, conference, `anchor frame ${kind} ${userid}`);
}

/** The key of display names. */
export function nameKey(conferenceKey, conference) {
  return derive(conferenceKey, conference, 'anchor name');
}

function frameCipher(sender, counter, trailer) {
  const iv = new Uint8Array(IV_BYTES);
  const view = new DataView(iv.buffer);
  view.setUint32(0, sender);
  view.setUint32(8, counter);
  return { name: 'AES-GCM', iv, additionalData: trailer };
}

/** Encrypts a frame. `stamp` is { counter, sender, layer }, the numbers 32 bits each. */
export async function sealFrame(key, frame, { counter, sender, layer }) {
  const trailer = new Uint8Array(TRAILER_BYTES);
  const view = new DataView(trailer.buffer);
  view.setUint32(0, counter);
  view.setUint32(4, sender);
  view.setUint8(8, (VERSION << 4) | Math.max(0, LAYERS.indexOf(layer)));
  const sealed = new Uint8Array(await crypto.subtle.encrypt(frameCipher(sender, counter, trailer), key, frame));
  const whole = new Uint8Array(sealed.length + TRAILER_BYTES);
  whole.set(sealed);
  whole.set(trailer, sealed.length);
  return whole.buffer;
}

/** What a frame's trailer says, still unproven; null where it is no frame of ours. */
export function readTrailer(frame) {
  const at = frame.byteLength - TRAILER_BYTES;
  if (at < TAG_BYTES) return null;
  const view = new DataView(frame, at);
  const last = view.getUint8(8);
  if (last >> 4 !== VERSION) return null;
  return { counter: view.getUint32(0), sender: view.getUint32(4), layer: LAYERS[last & 15] ?? '' };
}

/** Decrypts a frame whose trailer was read; rejects where key or frame are wrong. */
export function openFrame(key, frame, { counter, sender }) {
  const at = frame.byteLength - TRAILER_BYTES;
  const trailer = new Uint8Array(frame, at);
  return crypto.subtle.decrypt(frameCipher(sender, counter, trailer), key, new Uint8Array(frame, 0, at));
}

/** Encrypts a display name, longer ones cut to MAX_NAME_BYTES, as base64. */
export async function sealName(key, name) {
  let bytes = text.encode(name);
  while (bytes.length > MAX_NAME_BYTES) bytes = text.encode((name = [...name].slice(0, -1).join('')));
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: 'AES-GCM', iv }, key, bytes));
  return btoa(String.fromCharCode(...iv, ...sealed));
}

/** Decrypts a display name; null where it was made with another key. */
export async function openName(key, sealed) {
  try {
    const bytes = Uint8Array.from(atob(sealed), (letter) => letter.charCodeAt(0));
    const iv = bytes.subarray(0, IV_BYTES);
    const plain = await crypto.subtle.decrypt({ name: 'AES-GCM', iv }, key, bytes.subarray(IV_BYTES));
    return new TextDecoder().decode(plain);
  } catch {
    return null;
  }
}

/** A userid of 32 hex digits that says nothing about its owner: SHA-256(key ‖ random), a new one for every tab. */
export async function drawUserid(keyBytes) {
  const random = crypto.getRandomValues(new Uint8Array(32));
  const digest = await crypto.subtle.digest('SHA-256', new Uint8Array([...keyBytes, ...random]));
  return toHex(new Uint8Array(digest, 0, 16));
}

/** Bytes as lower case hex. */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
