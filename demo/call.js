// A call: joins, answers rosters, tells what it wants to see, keeps itself alive, and comes back when the transport is lost.
//
// Phases: idle → connecting → connected ⇄ reconnecting; waiting while the other domain does not know the call yet; refused and left
// are ends. Events: `change` (anything to show changed), `slots` (the receive slots are new).

import { openName, nameKey, importConferenceKey, sealName, drawUserid } from './crypto.js';
import { Encryption } from './e2ee.js';
import { People, QUALITY } from './people.js';
import { Session } from './session.js';
import { Signalling, Unreachable, acceptance, read, readRoster } from './signalling.js';

const PING_MS = 5_000;
const MAX_UNANSWERED = 4;
const WAIT_MS = 2_000;
const BACKOFF_FIRST_MS = 500;
const BACKOFF_MAX_MS = 10_000;
// The SFT answers HANGUP at once; without an answer we leave all the same.
const HANGUP_LIMIT_MS = 1_000;

/** Refusals that asking again does not change, with what people can do about them. */
const FINAL = {
  bad_capability: 'This invitation is not valid for this call. Ask for a new one.',
  legacy_tuple: 'This invitation was made by software that is not supported here.',
  malformed_tuple: 'The invitation link is damaged. Ask for a new one.',
  unlisted: 'This domain does not federate with the domain of the call.',
  policy: 'The policy of a domain forbids this call.',
  suspended: 'Federation with the domain of the call is suspended.',
};
/** Refusals that pass, in words for people; others are shown as they are. */
const PASSING = {
  unknown_conference: 'nobody is in the call there yet',
  anchor_silent: 'its server does not answer',
  limit: 'the server is full',
  overload: 'the server is busy',
  draining: 'the server is about to restart',
  shutting_down: 'the server is restarting',
  timeout: 'the server is slow to answer',
  conflict: 'the server still knows us from before',
};
/** The client versions of status 1 and tokens of statuses 2 to 5, where no reason is given. */
const FINAL_STATUS = { 1: 'The server wants a newer version of this page. Reload it.', 5: 'You may join calls, but not start one.' };

export class Call extends EventTarget {
  phase = 'idle';
  /** What people should know about the phase; may be empty. */
  detail = '';
  /** { url, tuple } of the anchor, as an invitation for other domains needs it. */
  anchor = { url: null, tuple: null };
  session = null;
  muted = false;
  camera = true;
  #unanswered = 0;
  #pinger = 0;
  #wake = () => {};
  #end = () => {};
  /** The own display name. */
  name = '';
  #sealedName = '';
  #nameKey = null;

  constructor(link, userid, media) {
    super();
    this.link = link;
    this.media = media;
    this.userid = userid;
    this.people = new People(userid);
    this.signalling = new Signalling({ ...link, userid });
    this.encryption = new Encryption(link.conference, link.key);
    this.encryption.addEventListener('source', ({ detail }) => this.#sourceChanged(detail));
    this.encryption.addEventListener('failing', ({ detail }) => this.#cannotDecrypt(detail.userid));
    /** mid of a receive slot → { userid, layer }: whose decrypted frames it carries. */
    this.sources = new Map();
  }

  /** Makes the call that a link names, with a userid of its own. */
  static async open(link, media) {
    return new Call(link, await drawUserid(link.key), media);
  }

  /** Joins under a display name and stays until `leave`. */
  async join(name) {
    this.name = name;
    this.nameKey = await nameKey(await importConferenceKey(this.link.key), this.link.conference);
    this.#sealedName = await sealName(this.nameKey, name);
    this.media.mute(this.muted);
    this.#setPhase('connecting');
    await this.#keepConnected();
  }

  /** Says goodbye and ends. */
  async leave() {
    if (this.phase === 'left') return;
    const session = this.session;
    this.#setPhase('left');
    session?.send(this.signalling.write('HANGUP', { resp: false }));
    await Promise.race([this.#hungUp(session), pause(HANGUP_LIMIT_MS)]);
    this.#end({ left: true });
    this.#wake();
    session?.close();
    this.session = null;
    this.media.close();
    this.encryption.close();
  }

  mute(muted) {
    this.muted = muted;
    this.media.mute(muted);
    this.#tellProps();
  }

  async setCamera(on) {
    this.camera = on;
    if (on) await this.media.openCamera();
    // The wish may have changed while the camera was opening.
    if (!this.camera) this.media.closeCamera();
    await this.session?.upload('video')?.sender.replaceTrack(this.media.video);
    this.#tellProps();
  }

  /** Sets 'auto', 'off', 'low' or 'high' for somebody. */
  choose(userid, choice) {
    const person = this.people.find(userid);
    if (!person) return;
    person.choice = choice;
    this.select();
  }

  /** Shows somebody large; null: nobody. */
  pin(userid) {
    this.people.pinned = userid;
    this.select();
  }

  /** Tells the SFT whom to send, at which quality. */
  select() {
    const slots = this.people.fillSlots();
    const stream = (userid) => ({ userid, quality: QUALITY[this.people.quality(this.people.find(userid))] });
    this.session?.send(this.signalling.write('CONFSTREAMS', { resp: false, mode: 'list', streams: slots.map(stream) }));
    this.#changed();
  }

  /** Asks the SFT's world again at once instead of after the pause. */
  retryNow() {
    this.#wake();
  }

  async #keepConnected() {
    let failures = 0;
    let update = false;
    while (this.phase !== 'left') {
      const outcome = await this.#connectOnce(update);
      if (this.phase === 'left') return;
      if (outcome.final) {
        this.#setPhase('refused', outcome.final);
        return;
      }
      update ||= outcome.opened;
      failures = outcome.opened ? 0 : failures + 1;
      this.#setPhase(outcome.waiting ? 'waiting' : update ? 'reconnecting' : 'connecting', outcome.detail);
      await this.#pause(outcome.waiting ? WAIT_MS : backoff(failures));
    }
  }

  /** One transport from CONFCONN to its end. */
  async #connectOnce(update) {
    try {
      const answer = await this.signalling.connect(update);
      if (this.phase === 'left') return {};
      if (answer.refused) return this.#judge(answer.refused);
      this.#rememberAnchor(answer);
      return await this.#run(answer);
    } catch (error) {
      this.#drop();
      if (this.phase === 'left') return {};
      if (error instanceof Unreachable) return { detail: 'the server does not answer' };
      console.warn('the transport could not be made:', error);
      return { detail: 'the transport could not be made' };
    }
  }

  #judge({ status, reason }) {
    if (FINAL[reason]) return { final: FINAL[reason] };
    if (reason) return { waiting: Boolean(this.link.sftTuple), detail: PASSING[reason] ?? reason };
    return { final: FINAL_STATUS[status] ?? 'The server refused to let you in.' };
  }

  #rememberAnchor({ url, tuple }) {
    const { sftUrl, sftTuple } = this.link;
    this.anchor = { url: sftTuple ? sftUrl : (url ?? null), tuple: sftTuple ?? tuple ?? null };
  }

  async #run({ offer, update }) {
    const session = new Session(this.encryption);
    this.session = session;
    this.sources.clear();
    const ended = new Promise((resolve) => (this.#end = resolve));
    let opened = false;
    session.addEventListener('open', () => {
      opened = true;
      this.#opened();
    });
    session.addEventListener('message', ({ detail }) => this.#receive(session, detail));
    session.addEventListener('lost', ({ detail }) => this.#end({ detail }));
    const sdp = await session.answer(offer, this.media);
    this.dispatchEvent(new CustomEvent('slots'));
    if (!(await this.signalling.answer(sdp, update, this.#props()))) throw new Unreachable('the answer was refused');
    const outcome = await ended;
    if (!outcome.left) this.#drop();
    return { opened, ...outcome };
  }

  #drop() {
    clearInterval(this.#pinger);
    this.session?.close();
    this.session = null;
    this.sources.clear();
  }

  #opened() {
    this.#unanswered = 0;
    clearInterval(this.#pinger);
    this.#pinger = setInterval(() => this.#ping(), PING_MS);
    this.#setPhase('connected');
    this.#tellProps();
  }

  #ping() {
    if (this.#unanswered >= MAX_UNANSWERED) {
      this.#end({ detail: 'the server fell silent' });
      return;
    }
    this.#unanswered += 1;
    this.session?.send(this.signalling.write('PING', { resp: false }));
  }

  #receive(session, text) {
    const message = read(text);
    if (!message || session !== this.session) return;
    if (message.type === 'CONFPART') this.#takeRoster(readRoster(message));
    else if (message.type === 'PROPSYNC') this.#takeProps(message);
    else if (message.type === 'PING' && message.resp) this.#unanswered = 0;
    else if (message.type === 'HANGUP') this.#takeHangup(session, message);
  }

  #takeRoster(roster) {
    this.people.setRoster(roster);
    this.people.setProps(this.userid, this.#props(), this.name);
    this.encryption.roster(roster, this.userid);
    this.session.send(this.signalling.write('CONFPART', acceptance(roster, this.userid)));
    this.select();
  }

  async #takeProps({ src_userid: userid, props }) {
    if (!props || !this.people.find(userid)) return;
    const name = props.name ? await openName(this.nameKey, props.name) : null;
    this.people.setProps(userid, props, name);
    this.#changed();
  }

  #takeHangup(session, message) {
    session.dispatchEvent(new CustomEvent('hangup'));
    if (message.resp) return;
    session.send(this.signalling.write('HANGUP', { resp: true }));
    this.#end({ detail: 'the server ended the connection' });
  }

  /** Resolves when the SFT has answered our HANGUP, at once where there is nothing to answer on. */
  #hungUp(session) {
    return new Promise((resolve) => (session ? session.addEventListener('hangup', resolve) : resolve()));
  }

  #props() {
    const flag = (value) => String(Boolean(value));
    return {
      videosend: flag(this.camera && this.media.video),
      screensend: 'false',
      muted: flag(this.muted || !this.media.audio),
      audiocbr: 'true',
      name: this.#sealedName,
    };
  }

  #tellProps() {
    const props = this.#props();
    this.session?.send(this.signalling.write('PROPSYNC', { resp: false, props }));
    this.people.setProps(this.userid, props, this.name);
    this.#changed();
  }

  #sourceChanged({ slot, userid, layer }) {
    this.sources.set(slot, { userid, layer });
    const person = this.people.find(userid);
    if (person) person.failing = false;
    this.#changed();
  }

  #cannotDecrypt(userid) {
    const person = this.people.find(userid);
    if (person) person.failing = true;
    this.#changed();
  }

  #setPhase(phase, detail = '') {
    if (this.phase === 'left') return;
    this.phase = phase;
    this.detail = detail;
    this.#changed();
  }

  #changed() {
    this.dispatchEvent(new CustomEvent('change'));
  }

  #pause(milliseconds) {
    return Promise.race([pause(milliseconds), new Promise((resolve) => (this.#wake = resolve))]);
  }
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Doubles from the first pause to the longest, with jitter so that not everyone comes back at the same instant. */
function backoff(failures) {
  const longest = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** failures);
  return longest * (0.5 + Math.random() / 2);
}
