// The call on the screen: tiles, status, controls. Reads a Call, changes nothing but the page.

import { bestGrid, spotlight } from './layout.js';
import { Panel } from './panel.js';
import { Tile, displayName, setText } from './tile.js';

/** More tiles than that are too small to see; everyone is in the list of people. */
const MAX_TILES = 16;
const element = (id) => document.getElementById(id);

export class View {
  #tiles = new Map();
  #statistics = new Map();

  constructor(call) {
    this.call = call;
    this.panel = new Panel(call);
    this.actions = {
      onPin: (userid) => call.pin(call.people.pinned === userid ? null : userid),
      onQuality: (userid, choice) => call.choose(userid, choice),
    };
    new ResizeObserver(() => this.#arrange()).observe(element('stage'));
    call.addEventListener('change', () => this.render());
    call.addEventListener('slots', () => this.#playAudio());
    this.#controls();
  }

  /** Brings everything up to date. */
  render() {
    const people = this.call.people.list();
    const domains = [...new Set(people.map((person) => person.domain))];
    const shown = people.length ? this.#shown(people) : [this.#alone()];
    this.#dropTiles(shown);
    for (const person of shown) this.#renderTile(person, domains);
    this.#arrange();
    this.#renderStatus();
    this.#renderNotice(people);
    this.#renderBanner(people);
    this.#renderControls();
    this.panel.render(domains);
  }

  /** Statistics of one reading, see stats.js. */
  renderStats({ receive, send }) {
    this.#statistics.clear();
    for (const entry of receive) {
      const source = this.call.sources.get(entry.slot);
      if (entry.kind === 'video' && source) this.#statistics.set(source.userid, received(entry, source.layer));
    }
    this.#statistics.set(this.call.userid, sent(send));
    for (const [userid, tile] of this.#tiles) {
      const pictured = tile.root.classList.contains('pictured');
      tile.showStats(pictured ? (this.#statistics.get(userid) ?? '') : '');
    }
  }

  #alone() {
    const { userid, muted, camera, name } = this.call;
    return { userid, name, domain: '', muted, camera, choice: 'auto', speaking: false, failing: false };
  }

  /** Ourselves and who is watched first, then the others while there is room; in the roster's order. */
  #shown(people) {
    const { userid: own, people: { slots } } = this.call;
    const first = new Set([own, ...slots]);
    let room = MAX_TILES - first.size;
    return people.filter(({ userid }) => first.has(userid) || room-- > 0);
  }

  #dropTiles(people) {
    const present = new Set(people.map((person) => person.userid));
    for (const [userid, tile] of this.#tiles) {
      if (present.has(userid)) continue;
      tile.root.remove();
      this.#tiles.delete(userid);
    }
  }

  #renderTile(person, domains) {
    const { userid } = person;
    if (!this.#tiles.has(userid)) this.#tiles.set(userid, new Tile(userid, this.actions));
    const own = userid === this.call.userid;
    const pinned = this.call.people.pinned === userid;
    const domainIndex = Math.max(0, domains.indexOf(person.domain));
    this.#tiles.get(userid).render(person, { own, pinned, stream: this.#picture(userid, own, person), domainIndex });
  }

  /** A slot's picture is shown only while the frames it carries were decrypted with this person's key. */
  #picture(userid, own, person) {
    if (own) return this.call.camera && this.call.media.video ? this.call.media.preview : null;
    const position = this.call.people.slots.indexOf(userid);
    const slot = this.call.session?.videoSlots[position];
    const carries = slot && this.call.sources.get(slot.mid)?.userid === userid;
    return carries && person.camera !== false ? slot.stream : null;
  }

  #arrange() {
    const { pinned } = this.call.people;
    const large = this.#tiles.get(pinned);
    const stage = element('stage');
    place(element('spotlight'), large ? [large.root] : []);
    const others = [...this.#tiles.values()].filter((tile) => tile !== large).map((tile) => tile.root);
    place(element('grid'), others);
    const { width, height } = inner(stage);
    const size = large ? spotlight(others.length, width, height) : bestGrid(others.length, width, height);
    stage.dataset.layout = large ? (size.beside ? 'beside' : 'below') : 'grid';
    stage.style.setProperty('--tile-width', `${size.width}px`);
    stage.style.setProperty('--tile-height', `${size.height}px`);
  }

  #renderStatus() {
    const { phase, people, userid } = this.call;
    element('status').dataset.phase = phase;
    const domain = people.find(userid)?.domain;
    const texts = {
      connecting: 'Connecting…',
      connected: domain ? `Connected to ${domain}` : 'Connected',
      waiting: 'Waiting for the other domain…',
      reconnecting: 'Reconnecting…',
      refused: 'Not admitted',
      left: 'Left',
    };
    setText(element('status-text'), texts[phase] ?? '');
    element('status').title = this.call.detail;
  }

  #renderNotice(people) {
    const notice = this.#notice(people.length);
    element('notice').hidden = !notice;
    if (!notice) return;
    setText(element('notice-title'), notice.title);
    setText(element('notice-text'), notice.text);
    element('notice').classList.toggle('busy', Boolean(notice.busy));
    const button = element('notice-action');
    button.hidden = !notice.action;
    setText(button, notice.action?.label ?? '');
    button.onclick = notice.action?.run ?? null;
  }

  #notice(count) {
    const { phase, detail, link } = this.call;
    const anchor = link.sftTuple?.split('/')[0] ?? 'the other domain';
    const retry = { label: 'Try now', run: () => this.call.retryNow() };
    const invite = { label: 'Invite people', run: () => this.panel.open(true, true) };
    if (phase === 'waiting') {
      const text = `The call is held in ${anchor}: ${detail}. You will be let in as soon as that changes.`;
      return { title: 'Waiting for the other domain…', text, busy: true };
    }
    if (phase === 'refused') return { title: 'You cannot join this call', text: detail };
    if (phase === 'reconnecting') return { title: 'Reconnecting…', text: sentence(detail), busy: true, action: retry };
    if (phase === 'connecting' && detail) return { title: 'Connecting…', text: sentence(detail), busy: true, action: retry };
    if (phase === 'connected' && count === 1) return { title: 'Nobody else is here yet', text: '', action: invite };
    return null;
  }

  #renderBanner(people) {
    const failing = people.filter((person) => person.failing).map(displayName);
    const undecryptable = `Cannot decrypt ${failing.join(', ')}: the keys differ. Compare the invitation links.`;
    const text = failing.length ? undecryptable : this.call.media.problem;
    element('banner').hidden = !text;
    setText(element('banner'), text);
  }

  #controls() {
    const { call } = this;
    element('mic').onclick = () => call.mute(!call.muted);
    element('camera').onclick = () => call.setCamera(!call.camera);
    element('people').onclick = () => this.panel.open(!this.panel.isOpen());
    element('inviter').onclick = () => this.panel.open(true, true);
    document.addEventListener('keydown', (event) => this.#key(event));
  }

  #key(event) {
    const typing = /^(input|select|textarea)$/i.test(event.target.tagName);
    if (typing || event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.view !== 'call') return;
    if (event.key === 'm') element('mic').click();
    if (event.key === 'v') element('camera').click();
    if (event.key === 'Escape') this.panel.open(false);
  }

  #renderControls() {
    const { muted, camera } = this.call;
    toggle(element('mic'), muted, 'mic', muted ? 'Unmute the microphone' : 'Mute the microphone');
    toggle(element('camera'), !camera, 'camera', camera ? 'Turn the camera off' : 'Turn the camera on');
  }

  /** Every audio slot plays all the time; the SFT decides who is in it. */
  #playAudio() {
    const players = this.call.session.audioSlots.map((slot) => {
      const player = new Audio();
      player.srcObject = slot.stream;
      player.dataset.slot = slot.mid;
      player.play().catch(() => {});
      return player;
    });
    element('speakers').replaceChildren(...players);
  }
}

/** Shows a button as on or off, with its icon crossed out. */
export function toggle(button, off, icon, label) {
  button.setAttribute('aria-pressed', off);
  button.setAttribute('aria-label', label);
  button.querySelector('use').setAttribute('href', off ? `#i-${icon}-off` : `#i-${icon}`);
}

/** Moving a video element restarts it, so only what is not in place moves. */
function place(parent, children) {
  children.forEach((child, index) => {
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
  });
}

function inner(stage) {
  const style = getComputedStyle(stage);
  const sum = (...names) => names.reduce((total, name) => total + parseFloat(style[name]), 0);
  return {
    width: stage.clientWidth - sum('paddingLeft', 'paddingRight'),
    height: stage.clientHeight - sum('paddingTop', 'paddingBottom'),
  };
}

function sentence(text) {
  return text ? `${text[0].toUpperCase()}${text.slice(1)}.` : '';
}

function received(entry, layer) {
  const layers = { l: 'low', h: 'high' };
  const parts = [`${entry.width}×${entry.height}`, `${Math.round(entry.fps)} fps`, layers[layer], `${entry.lossPercent.toFixed(1)} % loss`];
  return parts.filter(Boolean).join(' · ');
}

function sent(encodings) {
  const live = encodings.filter((encoding) => encoding.kind === 'video' && encoding.fps > 0);
  const sizes = live.map((encoding) => `${encoding.width}×${encoding.height}`).sort();
  return sizes.length ? `sends ${sizes.join(' + ')}` : '';
}
