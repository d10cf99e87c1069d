// Encrypts and decrypts encoded frames off the main thread. One worker lives as long as the tab, so that the frame counter
// survives reconnects.
//
// In:  { type: 'keys' | 'roster' | 'layers' | 'stream' | 'counters' }, or the browser's `rtctransform` event.
// Out: { type: 'source', slot, userid, layer }   whose frames a receive slot carries from now on
//      { type: 'failing', slot, userid }         frames of a slot cannot be decrypted
//      { type: 'counters', ... }                 for statistics

import { frameKey, importConferenceKey, openFrame, readTrailer, sealFrame } from './crypto.js';

// That many undecryptable frames in a row are a wrong key rather than a switch of sources.
const FAILING_AFTER = 20;

let conference = '';
let conferenceKey = null;
let own = null; // { userid, audio, video }: the own roster entry; nothing is sent before it is known
let useridOf = { audio: new Map(), video: new Map() }; // roster ssrc → userid
let layerOf = new Map(); // ssrc of an own simulcast encoding → 'l' or 'h'
let counter = 0;
const keys = new Map(); // `kind userid` → promise of a CryptoKey
const counters = { sealed: { audio: 0, video: 0 }, held: 0, opened: 0, foreign: 0, unknown: 0, failed: 0, byCsrc: 0, byTrailer: 0 };

function keyOf(kind, userid) {
  const name = `${kind} ${userid}`;
  if (!keys.has(name)) keys.set(name, conferenceKey.then((key) => frameKey(key, conference, kind, userid)));
  return keys.get(name);
}

async function seal(kind, frame, controller) {
  if (!own || !conferenceKey) {
    counters.held += 1;
    return;
  }
  const stamp = { counter: counter++, sender: own[kind], layer: layerOf.get(frame.getMetadata().synchronizationSource) };
  frame.data = await sealFrame(await keyOf(kind, own.userid), frame.data, stamp);
  counters.sealed[kind] += 1;
  controller.enqueue(frame);
}

/** Who sent a frame: the SFT writes it into the packet (CSRC), the sender into the trailer. */
function senderOf(kind, frame, trailer) {
  const csrc = frame.getMetadata().contributingSources?.[0];
  const byCsrc = useridOf[kind].get(csrc);
  counters[byCsrc ? 'byCsrc' : 'byTrailer'] += 1;
  return byCsrc ?? useridOf[kind].get(trailer.sender);
}

async function open(slot, frame, controller) {
  const trailer = readTrailer(frame.data);
  if (!trailer) {
    return;
  }
  const userid = senderOf(slot.kind, frame, trailer);
  if (!userid || !conferenceKey) {
    counters.unknown += 1;
    return;
  }
  try {
    frame.data = await openFrame(await keyOf(slot.kind, userid), frame.data, trailer);
  } catch {
    failed(slot, userid);
    return;
  }
  opened(slot, userid, trailer.layer);
  controller.enqueue(frame);
}

function failed(slot, userid) {
  counters.failed += 1;
  slot.failures += 1;
  if (slot.failures === FAILING_AFTER) postMessage({ type: 'failing', slot: slot.id, userid });
}

function opened(slot, userid, layer) {
  counters.opened += 1;
  slot.failures = 0;
  if (slot.userid === userid && slot.layer === layer) return;
  Object.assign(slot, { userid, layer });
  postMessage({ type: 'source', slot: slot.id, userid, layer });
}

function connect({ side, kind, slot: id }, readable, writable) {
  if (side === 'send') counters.sealed[kind] = 0; // of this transport: the page compares with what it sent
  const slot = { id, kind, userid: null, layer: null, failures: 0 };
  const transform = side === 'send' ? (frame, to) => seal(kind, frame, to) : (frame, to) => open(slot, frame, to);
  // The streams end with their peer connection; that is no error.
  readable.pipeThrough(new TransformStream({ transform })).pipeTo(writable).catch(() => {});
}

const receive = {
  keys(message) {
    conference = message.conference;
    conferenceKey = importConferenceKey(message.key);
    keys.clear();
  },
  roster(message) {
    own = message.own ?? own;
    useridOf = { audio: new Map(message.audio), video: new Map(message.video) };
  },
  layers(message) {
    layerOf = new Map(message.layers);
  },
  stream(message) {
    connect(message, message.readable, message.writable);
  },
  counters(message) {
    postMessage({ type: 'counters', id: message.id, counters });
  },
};

globalThis.onmessage = (event) => receive[event.data.type](event.data);
globalThis.onrtctransform = ({ transformer }) => connect(transformer.options, transformer.readable, transformer.writable);

