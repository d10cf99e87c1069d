// The page: reads the address, shows the form, makes the call, keeps statistics, and offers `window.anchor` to tests.

import { Call } from './call.js';
import { method, supported } from './e2ee.js';
import { newCall, readFragment, writeFragment } from './link.js';
import { LocalMedia, readQuery } from './media.js';
import { StatsReader, readLevels } from './stats.js';
import { View, toggle } from './ui.js';
import { displayName } from './tile.js';

const STATS_MS = 1000;
const LEVELS_MS = 200;
// So many packets without one encrypted frame are no start-up effect.
const UNSEALED_PACKETS = 20;
const element = (id) => document.getElementById(id);

class App {
  media = new LocalMedia(readQuery(location.search));
  call = null;
  view = null;
  latest = { receive: [], send: [], level: 0 };
  #reader = new StatsReader();
  #muted = false;
  #camera = true;
  #joining = null;
  #timers = [];

  async start() {
    this.link = this.#readLink();
    this.#prepareForm();
    if (this.link !== undefined && supported) await this.#preview();
  }

  /** The call in the address, null for a new one, undefined where the address is damaged or the browser unfit. */
  #readLink() {
    try {
      if (!supported) throw new Error('This browser cannot encrypt calls end to end. Use a current Chromium, Firefox or Safari.');
      return readFragment(location.hash);
    } catch (error) {
      this.#problem(error.message);
      return undefined;
    }
  }

  #prepareForm() {
    const joining = Boolean(this.link);
    const domain = this.link?.sftTuple?.split('/')[0];
    element('join-title').textContent = joining ? 'Join the call' : 'Start a call';
    element('join-button').textContent = joining ? 'Join the call' : 'Start a call';
    element('join-text').textContent = !joining
      ? 'You get a link for people of your domain, and one for people of other domains.'
      : domain
        ? `You are invited to a call held in ${domain}. You stay on your own domain’s server.`
        : 'You are invited to a call of this domain.';
    element('join-button').disabled = this.link === undefined;
    element('join-form').onsubmit = (event) => {
      event.preventDefault();
      this.join(element('name').value);
    };
    element('join-mic').onclick = () => this.#choose('mic', (this.#muted = !this.#muted));
    element('join-camera').onclick = () => this.#choose('camera', !(this.#camera = !this.#camera));
    element('leave').onclick = () => this.leave();
    element('rejoin').onclick = () => location.reload();
    // A fragment typed or pasted into an open tab names another call.
    addEventListener('hashchange', () => location.reload());
    addEventListener('pagehide', () => this.call?.leave());
    element('name').focus();
  }

  async #choose(device, off) {
    const labels = { mic: ['Mute the microphone', 'Unmute the microphone'], camera: ['Turn the camera off', 'Turn the camera on'] };
    toggle(element(`join-${device}`), off, device, labels[device][Number(off)]);
    if (device !== 'camera') return;
    if (off) this.media.closeCamera();
    else await this.media.openCamera();
    this.#note();
  }

  async #preview() {
    await this.media.open();
    element('preview').srcObject = this.media.preview;
    this.#note();
  }

  #note() {
    const note = this.media.video ? '' : this.#camera ? this.media.problem || 'No camera' : 'Your camera is off';
    element('preview-note').textContent = note;
  }

  #problem(text) {
    element('join-problem').textContent = text;
    element('join-problem').hidden = false;
  }

  /** Joins once, however often it is called; resolves when the first roster with us is in, or the SFT refused. */
  join(name) {
    this.#joining ??= this.#join(String(name).trim());
    return this.#joining;
  }

  async #join(name) {
    if (this.link === undefined) throw new Error('nothing to join');
    if (!this.link) {
      this.link = newCall();
      history.replaceState(null, '', location.search + writeFragment(this.link));
    }
    if (!this.media.audio && !this.media.video) await this.#preview();
    this.call = await Call.open(this.link, this.media);
    Object.assign(this.call, { muted: this.#muted, camera: this.#camera });
    this.view = new View(this.call);
    show('call');
    this.view.render();
    this.#tick();
    const arrived = new Promise((resolve) => this.call.addEventListener('change', () => this.#inside() && resolve()));
    this.call.join(name);
    await arrived;
  }

  #inside() {
    return this.call.phase === 'refused' || Boolean(this.call.people.find(this.call.userid));
  }

  #tick() {
    this.#timers.push(setInterval(() => this.#measure(), STATS_MS), setInterval(() => this.#levels(), LEVELS_MS));
  }

  async #measure() {
    if (!this.call.session) return;
    this.latest = await this.#reader.read(this.call.session);
    this.call.encryption.layers(this.latest.send.filter((entry) => entry.rid).map((entry) => [entry.ssrc, entry.rid]));
    await this.#verifyEncryption();
    if (!this.call?.session) return;
    if (!this.call.muted) this.call.people.setLevel(this.call.userid, this.latest.level, performance.now());
    this.view.renderStats(this.latest);
  }

  /** A browser that ignores our transform would send in the clear without a word: then we leave. */
  async #verifyEncryption() {
    const { sealed } = await this.call.encryption.counters();
    const sent = (kind) => this.latest.send.some((entry) => entry.kind === kind && entry.packetsSent > UNSEALED_PACKETS);
    if (!['audio', 'video'].some((kind) => sent(kind) && sealed[kind] === 0)) return;
    await this.leave();
    element('ended-title').textContent = 'Encryption did not start';
    element('ended-text').textContent = 'This browser did not encrypt what it sent, so the call was ended. Use another browser.';
  }

  #levels() {
    const { session, people } = this.call;
    const now = performance.now();
    if (session) readLevels(session, (ssrc, level) => people.setLevel(people.bySsrc(ssrc)?.userid, level, now));
    if (people.settleLevels(now)) this.view.render();
  }

  async leave() {
    this.#timers.splice(0).forEach(clearInterval);
    await this.call?.leave();
    show('ended');
  }
}

function show(view) {
  document.body.dataset.view = view;
  for (const id of ['join', 'call', 'ended']) element(id).hidden = id !== view;
}

const app = new App();

/**
 * For tests and the curious. `userid`s and names both name a person where one is asked for.
 *
 * state()            phase, own userid, people (userid, name, domain, muted, camera, speaking, quality, pictured), slots
 * stats()            promise of { receive, send, encryption }, see stats.js and e2ee-worker.js; `receive` has the userid and layer, too
 * join(name)         as the form does; resolves when we are in the roster
 * leave()            resolves when the server knows
 * select(list)       watches exactly these: [{ person, quality: 'low' | 'high' | 'auto' }]
 * pin(person)        shows one large; null: nobody
 * mute(on), camera(on)
 * breakTransport()   closes the transport behind the call's back, as a lost network does
 * invitation(page)   { own, other }: links for people of this domain and, with the address of their page, of another one
 */
window.anchor = {
  state: () => describe(app),
  stats: () => statistics(app),
  join: (name) => app.join(name),
  leave: () => app.leave(),
  select: (list) => choose(app.call, list),
  pin: (person) => app.call.pin(person && find(app.call, person).userid),
  mute: (on) => app.call.mute(on),
  camera: (on) => app.call.setCamera(on),
  breakTransport: () => app.call.session?.lose('closed by a test'),
  invitation: (page) => invite(app.view.panel.links(), page),
};

function find(call, person) {
  const found = call.people.list().find(({ userid, name }) => userid === person || name === person);
  if (!found) throw new Error(`nobody is called ${person}`);
  return found;
}

function choose(call, list) {
  const wanted = new Map(list.map(({ person, quality }) => [find(call, person).userid, quality]));
  for (const person of call.people.others()) person.choice = wanted.get(person.userid) ?? 'off';
  call.select();
}

function invite({ own, other }, page) {
  return { own, other: other && page ? other(page) : null };
}

function describe({ call }) {
  if (!call) return { phase: 'idle', encryption: method, people: [], slots: [] };
  const people = call.people.list().map((person) => ({
    userid: person.userid,
    name: displayName(person),
    domain: person.domain,
    muted: person.muted,
    camera: person.camera,
    speaking: person.speaking,
    failing: person.failing,
    quality: call.people.quality(person),
    pictured: document.querySelector(`[data-userid="${person.userid}"]`)?.classList.contains('pictured') ?? false,
  }));
  const { phase, detail, userid } = call;
  return { phase, detail, userid, encryption: method, people, slots: [...call.people.slots] };
}

async function statistics({ call, latest }) {
  const receive = latest.receive.map((entry) => ({ ...entry, ...call?.sources.get(entry.slot) }));
  return { receive, send: latest.send, encryption: await call?.encryption.counters() };
}

app.start();
