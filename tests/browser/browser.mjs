// Participants: one browser, each participant in a context of its own.

import { chromium } from 'playwright-core';

/** Media on loopback takes seconds on two busy cores; a limit is there to end, not to measure. */
export const LIMIT_MS = 45_000;

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  '--allow-loopback-in-peer-connection',
  '--autoplay-policy=no-user-gesture-required',
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows',
  '--disable-features=WebRtcHideLocalIpsWithMdns',
];

export async function launch(executablePath) {
  const browser = await chromium.launch({ executablePath, headless: true, args: FLAGS });
  return new Stage(browser);
}

class Stage {
  #browser;
  participants = [];

  constructor(browser) {
    this.#browser = browser;
  }

  version() {
    return this.#browser.version();
  }

  /** Opens a page; `source` is a colour to send instead of the fake camera. */
  async open(address, { source, viewport = { width: 1280, height: 760 } } = {}) {
    const context = await this.#browser.newContext({ viewport, permissions: ['camera', 'microphone'] });
    const page = await context.newPage();
    page.setDefaultTimeout(LIMIT_MS);
    const participant = new Participant(page, context);
    this.participants.push(participant);
    await page.goto(source ? address.replace('/#', `/?source=${source}#`) : address);
    await participant.ready();
    return participant;
  }

  /** Opens a page and joins. */
  async join(address, name, options) {
    const participant = await this.open(address, options);
    await participant.join(name);
    return participant;
  }

  close() {
    return this.#browser.close();
  }
}

class Participant {
  /** What the console and the page complained about. */
  complaints = [];

  constructor(page, context) {
    this.page = page;
    this.context = context;
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) this.complaints.push(`${message.type()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.complaints.push(`exception: ${error.stack ?? error}`));
    page.on('requestfailed', (request) => this.complaints.push(`failed: ${request.method()} ${new URL(request.url()).pathname}`));
  }

  /** Waits until the page's script has run. */
  ready() {
    return this.#wait('() => Boolean(window.anchor)', null, async () => 'no window.anchor');
  }

  join(name) {
    this.name = name;
    return this.page.evaluate((own) => window.anchor.join(own), name);
  }

  state() {
    return this.page.evaluate(() => window.anchor.state());
  }

  stats() {
    return this.page.evaluate(() => window.anchor.stats());
  }

  select(...list) {
    return this.page.evaluate((wanted) => window.anchor.select(wanted), list);
  }

  /** Waits until `condition(state, argument)` holds in the page. */
  until(condition, argument) {
    return this.#wait(`(argument) => (${condition})(window.anchor.state(), argument)`, argument, () => this.state());
  }

  /** Waits until `condition(stats, argument)` holds in the page. */
  untilStats(condition, argument) {
    return this.#wait(`async (argument) => (${condition})(await window.anchor.stats(), argument)`, argument, () => this.stats());
  }

  /** The mean colour of the middle of somebody's picture, { red, green, blue } 0 to 255; null where there is none. */
  colour(name) {
    return this.page.evaluate(sampleMiddle, name);
  }

  async untilColour(name, colour) {
    const matches = `(${dominant})((${sampleMiddle})(argument.name)) === argument.colour`;
    await this.#wait(`(argument) => ${matches}`, { name, colour }, () => this.colour(name));
  }

  async leave() {
    await this.page.evaluate(() => window.anchor.leave());
    await this.context.close();
  }

  /** A time-out alone says nothing: what was seen instead goes into the message. */
  async #wait(script, argument, look) {
    // Not waitForFunction: it compiles text in the page, which the page's content security policy forbids.
    const expression = `(${poll})(${script}, ${JSON.stringify(argument ?? null)}, ${LIMIT_MS})`;
    const held = await this.page.evaluate(expression);
    if (held) return;
    const seen = JSON.stringify(await look());
    throw new Error(`${this.name ?? 'the page'} waited in vain for ${script} with ${JSON.stringify(argument)}\n  saw ${seen}`);
  }
}

/** Runs in the page: asks again and again until the condition holds (true) or time is up (false). */
async function poll(condition, argument, limitMs) {
  const end = performance.now() + limitMs;
  while (performance.now() < end) {
    if (await condition(argument)) return true;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return false;
}

function sampleMiddle(name) {
  const person = window.anchor.state().people.find((candidate) => candidate.name === name);
  const video = person?.pictured && document.querySelector(`[data-userid="${person.userid}"] video`);
  if (!video || video.readyState < 2) return null;
  const canvas = document.createElement('canvas');
  const size = 16;
  [canvas.width, canvas.height] = [size, size];
  const pen = canvas.getContext('2d');
  pen.drawImage(video, video.videoWidth * 0.45, video.videoHeight * 0.45, video.videoWidth * 0.1, video.videoHeight * 0.1, 0, 0, size, size);
  const sums = [0, 0, 0];
  pen.getImageData(0, 0, size, size).data.forEach((value, index) => index % 4 < 3 && (sums[index % 4] += value));
  const [red, green, blue] = sums.map((sum) => Math.round(sum / (size * size)));
  return { red, green, blue };
}

/** 'red', 'green' or 'blue' where one outshines the others by far; null otherwise. */
function dominant(sample) {
  if (!sample) return null;
  const [[first, most], [, next]] = Object.entries(sample).sort(([, a], [, b]) => b - a);
  return most > 100 && most > 2 * next ? first : null;
}
