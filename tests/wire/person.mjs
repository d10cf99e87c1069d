// One stock client in one page: what the driver can ask of it, and what it told so far.
import crypto from 'node:crypto';

const NAMES = ['alice', 'bob', 'carol', 'dave', 'erin'];

export class Person {
  /** `home` is 'a' or 'b'; `sft` the base URL of the SFT that this client's backend tells it. */
  constructor(number, home, sft) {
    this.name = NAMES[number];
    this.userid = `${crypto.randomUUID()}@${home}.wire.test`;
    this.clientid = crypto.randomBytes(8).toString('hex');
    this.home = home;
    this.sft = sft;
    this.states = [];
    this.connects = 0;
    this.members = [];
    this.received = [];
    this.sent = [];
    this.decrypted = {audio: new Set(), video: new Set()};
    this.errors = [];
    this.incoming = 0;
    this.configured = this.open = this.joined = this.ended = false;
    this.closed = null;
  }

  /** Opens the page and creates the client; `on` gets everything it tells. */
  async start(context, origin, on) {
    this.page = await context.newPage();
    this.page.on('pageerror', error => this.errors.push(`page: ${error}`));
    await this.page.exposeFunction('__avs', event => { this.note(event); on(this, event); });
    await this.page.goto(origin);
    await this.page.waitForFunction('window.__clientLoaded');
    await this.ask('init', {userid: this.userid, clientid: this.clientid});
  }

  ask(what, argument) {
    return this.page.evaluate(([name, value]) => window.client[name](value), [what, argument]);
  }

  /** As `ask`, where the answer does not matter; a failure fails the scenario, unless the page is about to go. */
  tell(what, argument) {
    return this.ask(what, argument).catch(error => { if (!this.ended) this.errors.push(`${what}: ${error}`); });
  }

  /** How many the last roster lists; 0 before the first. */
  get roster() { return this.received.findLast(message => message.type === 'CONFPART')?.participants.length ?? 0; }

  get established() { return this.states.at(-1) === 'MEDIA_ESTAB'; }

  note(event) {
    switch (event.type) {
      case 'log': this.read(event.msg); break;
      case 'state': this.states.push(event.name); break;
      case 'incoming': this.incoming += 1; break;
      case 'participants': this.members = event.members; break;
      case 'closed': this.closed = event.reason; break;
      case 'dc':
        if (event.what === 'open') this.open = true;
        if (event.what === 'recv') this.received.push(JSON.parse(event.data));
        if (event.what === 'send') this.sent.push(JSON.parse(event.data));
        break;
    }
  }

  /** Some things are said only in the client's log. */
  read(line) {
    if (/ccall\(.*State changed: `\w+' --> `CCALL_STATE_CONNSENT'/.test(line)) this.connects += 1;
    const first = /frame_dec: decrypt: first frame decrypted type: (\w+) uid: (\w+)/.exec(line);
    if (first) this.decrypted[first[1]].add(first[2]);
  }
}
