// One participant's tile.

/** Colours of domains, in the order in which the roster names them (the same for everyone). */
const DOMAIN_COLOURS = 8;

export class Tile {
  constructor(userid, { onPin, onQuality }) {
    const template = document.querySelector('#tile');
    this.userid = userid;
    this.root = template.content.firstElementChild.cloneNode(true);
    this.root.dataset.userid = userid;
    const find = (selector) => this.root.querySelector(selector);
    this.video = find('video');
    this.name = find('.name');
    this.domain = find('.domain');
    this.avatar = find('.avatar');
    this.stats = find('.stats');
    this.pin = find('.pin');
    this.select = find('select');
    this.pin.onclick = () => onPin(userid);
    this.select.onchange = () => onQuality(userid, this.select.value);
  }

  /** Shows a person; `stream` null: the avatar instead of a picture. */
  render(person, { own, pinned, stream, domainIndex }) {
    const name = displayName(person);
    const flags = { self: own, speaking: person.speaking, silenced: person.muted, pictured: stream, failing: person.failing, pinned };
    for (const [flag, on] of Object.entries(flags)) this.root.classList.toggle(flag, Boolean(on));
    setText(this.name, own ? `${name} (you)` : name);
    setText(this.avatar, person.name ? initials(name) : '?');
    setText(this.domain, person.domain);
    this.domain.dataset.colour = domainIndex % DOMAIN_COLOURS;
    this.avatar.dataset.colour = domainIndex % DOMAIN_COLOURS;
    this.root.setAttribute('aria-label', describe(person, own, name));
    this.pin.setAttribute('aria-pressed', pinned);
    this.pin.setAttribute('aria-label', pinned ? `Show everyone equally` : `Show ${name} large`);
    this.pin.title = pinned ? 'Unpin' : 'Pin';
    if (this.select.value !== person.choice) this.select.value = person.choice;
    this.#show(stream);
  }

  /** One line: resolution, frame rate, layer, loss. */
  showStats(line) {
    setText(this.stats, line);
  }

  #show(stream) {
    if (this.video.srcObject === stream) return;
    this.video.srcObject = stream;
    // A stream that is replaced before it plays rejects; the next one plays by itself.
    if (stream) this.video.play().catch(() => {});
  }
}

/** What somebody is called: his name, or what can be said without it. */
export function displayName(person) {
  return person.name || (person.name === '' ? 'Guest' : `Guest ${person.userid.slice(0, 4)}`);
}

function initials(name) {
  const words = name.split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words.at(-1)] : words;
  return letters.map((word) => [...word][0].toUpperCase()).join('');
}

function describe(person, own, name) {
  const parts = [own ? `${name}, you` : name, person.domain && `domain ${person.domain}`, person.muted && 'muted'];
  return parts.filter(Boolean).join(', ');
}

/** Writes text only where it changed, so that screen readers and the layout are left alone. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
