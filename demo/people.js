// Who is in the call and who is watched: plain state, no network and no page.

import { VIDEO_SLOTS } from './signalling.js';

/** Up to so many others `auto` asks for the upper layer. */
const HIGH_UP_TO = 4;
/** What CONFSTREAMS calls the qualities. */
export const QUALITY = { low: 1, high: 2 };
// A level (0 to 1) above it counts as speech, for so long.
const SPEECH_LEVEL = 0.02;
const SPEECH_HOLD_MS = 800;

export class People {
  /** userid → { userid, name, domain, muted, camera, choice, speaking, level, spokeAt, order } */
  #all = new Map();
  /** Video slot → userid or null; its order is what CONFSTREAMS says. */
  slots = [];
  /** The userid shown large; null: nobody. */
  pinned = null;

  constructor(userid) {
    this.userid = userid;
  }

  /** Everyone, in the roster's order. */
  list() {
    return [...this.#all.values()].sort((a, b) => a.order - b.order);
  }

  others() {
    return this.list().filter((person) => person.userid !== this.userid);
  }

  find(userid) {
    return this.#all.get(userid);
  }

  /** The person whose roster ssrc_audio this is. */
  bySsrc(ssrc) {
    return this.list().find((person) => person.ssrcAudio === ssrc);
  }

  /** Takes a new roster; who is not in it has left. */
  setRoster(roster) {
    const present = new Map(roster.map((entry, order) => [entry.userid, this.#merge(entry, order)]));
    this.#all = present;
    if (!present.has(this.pinned)) this.pinned = null;
  }

  #merge(entry, order) {
    const known = this.#all.get(entry.userid);
    const fresh = { name: null, camera: null, choice: 'auto', speaking: false, level: 0, spokeAt: -Infinity, failing: false };
    return { ...fresh, ...known, ...entry, muted: known?.muted ?? entry.muted, order };
  }

  /** Takes what somebody tells about himself; `name` is decrypted already, null where it cannot be. */
  setProps(userid, props, name) {
    const person = this.#all.get(userid);
    if (!person) return;
    person.muted = props.muted === 'true';
    person.camera = props.videosend === 'true';
    person.name = name;
  }

  /** Takes somebody's momentary audio level, 0 to 1. */
  setLevel(userid, level, nowMs) {
    const person = this.#all.get(userid);
    if (!person) return;
    person.level = level;
    if (level > SPEECH_LEVEL) person.spokeAt = nowMs;
  }

  /** Lets time pass for the speaking marks; true where one changed. */
  settleLevels(nowMs) {
    let changed = false;
    for (const person of this.#all.values()) {
      const speaking = !person.muted && nowMs - person.spokeAt < SPEECH_HOLD_MS;
      changed ||= speaking !== person.speaking;
      person.speaking = speaking;
    }
    return changed;
  }

  /** 'off', 'low' or 'high': what is asked for where the choice is `auto`, too. */
  quality(person) {
    if (person.choice !== 'auto') return person.choice;
    if (this.pinned) return person.userid === this.pinned ? 'high' : 'low';
    return this.others().length <= HIGH_UP_TO ? 'high' : 'low';
  }

  /** Chooses whom to watch. Those who stay keep their slot: moving somebody costs a key frame. */
  fillSlots() {
    const wanted = this.#wanted().map((person) => person.userid);
    const kept = this.slots.filter((userid) => wanted.includes(userid));
    const holes = this.slots.map((userid) => (wanted.includes(userid) ? userid : null));
    const fresh = wanted.filter((userid) => !kept.includes(userid));
    const filled = holes.map((userid) => userid ?? fresh.shift() ?? null);
    this.slots = closeGaps([...filled, ...fresh]);
    return this.slots;
  }

  #wanted() {
    const candidates = this.others().filter((person) => this.quality(person) !== 'off');
    const rank = (person) => (person.userid === this.pinned ? 2 : person.choice !== 'auto' ? 1 : 0);
    candidates.sort((a, b) => rank(b) - rank(a) || b.spokeAt - a.spokeAt || a.order - b.order);
    return candidates.slice(0, VIDEO_SLOTS);
  }
}

/** A list cannot say "nobody": the last ones move into the gaps. */
function closeGaps(slots) {
  const closed = [...slots];
  for (let gap = closed.indexOf(null); gap >= 0; gap = closed.indexOf(null)) {
    const last = closed.pop();
    if (gap < closed.length) closed[gap] = last ?? closed[gap];
  }
  return closed;
}
