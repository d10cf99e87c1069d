// The side panel: who is here, and invitations.

import { pageAddress, writeFragment } from './link.js';
import { displayName, setText } from './tile.js';

const COPIED_MS = 2500;
const element = (id) => document.getElementById(id);

export class Panel {
  #timer = 0;

  constructor(call) {
    this.call = call;
    element('panel-close').onclick = () => this.open(false);
    element('other-page').oninput = () => this.#renderLinks();
    for (const button of document.querySelectorAll('[data-copy]')) button.onclick = () => this.#copy(button.dataset.copy);
  }

  /** Opens or closes; `invite` puts the focus where one copies a link. */
  open(open, invite = false) {
    element('panel').hidden = !open;
    element('people').setAttribute('aria-expanded', open);
    if (invite) element('invite').scrollIntoView({ block: 'nearest' });
    if (open && invite) document.querySelector('[data-copy=own-link]').focus();
    dispatchEvent(new Event('resize'));
  }

  isOpen() {
    return !element('panel').hidden;
  }

  render(domains) {
    const people = this.call.people.list();
    setText(element('count'), people.length ? String(people.length) : '');
    setText(element('people-count'), people.length ? String(people.length) : '');
    element('roster').replaceChildren(...people.map((person) => this.#line(person, domains)));
    const own = this.call.people.find(this.call.userid);
    setText(element('own-domain'), own?.domain || 'this domain');
    this.#renderLinks();
  }

  /** { own, other(page) }: the addresses that invite people. `other` is null until the anchor told its tuple. */
  links() {
    const { conference, key, sftUrl, sftTuple } = this.call.link;
    const { url, tuple } = this.call.anchor;
    const own = `${location.origin}/${writeFragment({ conference, key, sftUrl, sftTuple })}`;
    const other = tuple && ((page) => page + writeFragment({ conference, key, sftUrl: url, sftTuple: tuple }));
    return { own, other };
  }

  #line(person, domains) {
    const line = document.createElement('li');
    const own = person.userid === this.call.userid;
    line.append(part('dot', ''), part('who', displayName(person) + (own ? ' (you)' : '')), part('where', person.domain));
    if (person.muted) line.append(part('note', 'muted'));
    if (person.failing) line.append(part('note bad', 'wrong key'));
    line.firstChild.dataset.colour = domains.indexOf(person.domain) % 8;
    line.classList.toggle('speaking', person.speaking);
    return line;
  }

  #renderLinks() {
    const { own, other } = this.links();
    const page = pageAddress(element('other-page').value);
    element('own-link').value = own;
    element('other-link').value = page && other ? other(page) : '';
    element('other-link').placeholder = other ? 'Enter an address first' : 'Known once you are connected';
  }

  async #copy(id) {
    const field = element(id);
    if (!field.value) return;
    field.select();
    // Clipboard access needs a secure origin; elsewhere the selected text can be copied by hand.
    const done = await navigator.clipboard?.writeText(field.value).then(() => true, () => false);
    setText(element('copied'), done ? 'Copied. Send it privately.' : 'Selected: copy it with your keyboard.');
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => setText(element('copied'), ''), COPIED_MS);
  }
}

function part(name, text) {
  const span = document.createElement('span');
  span.className = name;
  span.textContent = text;
  return span;
}
