// The cases, in order: each builds on the call the ones before it left behind. `always` marks those that build the call.

import assert from 'node:assert/strict';

const A = 'a.localhost';
const B = 'b.localhost';
// A second and a half of video, and of speech: enough to be no accident.
const SOME_FRAMES = 20;

export const cases = [
  {
    name: 'a frame opens with its key alone, and not once a bit of it changed',
    async run({ stage, demo }) {
      const page = await stage.open(demo.pages[0]);
      assert.deepEqual(await page.page.evaluate(tryFrames), { right: true, wrongKey: false, wrongSender: false, changed: [], short: true, name: 'Zoë', foreignName: null });
      await page.context.close();
      stage.participants.pop();
    },
  },
  {
    name: 'tiles fit into every screen from 1 to 9',
    async run({ stage, demo }) {
      const page = await stage.open(demo.pages[0]);
      assert.deepEqual(await page.page.evaluate(tryLayouts), []);
      await page.context.close();
      stage.participants.pop();
    },
  },
  {
    name: 'whoever opens first in the other domain waits, and is let in when the call starts',
    always: true,
    async run(world) {
      const { stage, demo } = world;
      world.bo = await stage.open(demo.pages[1]);
      world.bo.joined = world.bo.join('Bo');
      await world.bo.until((state) => state.phase === 'waiting');
      await world.picture(world.bo, 'waiting');
      world.ann = await stage.join(demo.pages[0], 'Ann', { source: 'red' });
      await world.bo.joined;
      for (const one of [world.ann, world.bo]) await one.until((state) => state.phase === 'connected' && state.people.length === 2);
    },
  },
  {
    name: 'the roster names both people and both domains on both sides',
    always: true,
    async run({ ann, bo }) {
      for (const one of [ann, bo]) {
        await one.until((state) => state.people.every(({ name }) => ['Ann', 'Bo'].includes(name)));
        const { people } = await one.state();
        const domains = Object.fromEntries(people.map(({ name, domain }) => [name, domain]));
        assert.deepEqual(domains, { Ann: A, Bo: B });
        assert.equal(await one.page.textContent('#status-text'), `Connected to ${domains[one.name]}`);
      }
    },
  },
  {
    name: 'decoded frames grow on both sides',
    async run({ ann, bo }) {
      for (const [one, other] of [[ann, bo], [bo, ann]]) await framesGrow(one, await useridOf(one, other.name));
    },
  },
  {
    name: 'sound arrives on both sides',
    async run({ ann, bo }) {
      for (const one of [ann, bo]) {
        const energy = ({ receive }) => receive.reduce((sum, entry) => sum + entry.totalAudioEnergy, 0);
        const before = energy(await one.stats());
        await one.untilStats(({ receive }, past) => receive.reduce((sum, entry) => sum + entry.totalAudioEnergy, 0) > past + 0.01, before);
        await one.until((state) => state.people.some(({ userid, speaking }) => speaking && userid !== state.userid));
      }
    },
  },
  {
    name: 'every frame is encrypted, and none is shown that was not',
    async run({ ann, bo }) {
      for (const one of [ann, bo]) {
        const { encryption } = await one.stats();
        assert.ok(encryption.sealed.audio > 0 && encryption.sealed.video > 0 && encryption.opened > 0);
        assert.equal(encryption.foreign, 0, 'frames came that nobody encrypted');
      }
      assert.ok((await bo.stats()).encryption.byCsrc > 0, 'the SFT names the sender (CSRC)');
      assert.equal(await bo.page.isVisible('#secure'), true);
    },
  },
  {
    name: 'quality high decodes the upper layer, low the lower one',
    async run({ ann, bo }) {
      const userid = await useridOf(bo, 'Ann');
      for (const [quality, layer, least, most] of [['high', 'h', 360, 4320], ['low', 'l', 90, 359], ['high', 'h', 360, 4320]]) {
        await bo.select({ person: 'Ann', quality });
        const fits = ({ receive }, want) =>
          receive.some((entry) => entry.userid === want.userid && entry.layer === want.layer && entry.height >= want.least && entry.height <= want.most && entry.fps > 0);
        await bo.untilStats(fits, { userid, layer, least, most });
      }
      await framesGrow(bo, userid);
      assert.ok((await ann.stats()).send.filter(({ rid, fps }) => rid && fps > 0).length === 2, 'both layers are sent');
    },
  },
  {
    name: 'a call started by hand is joined through its invitations, in both domains',
    async run(world) {
      const { stage, demo } = world;
      const origins = demo.pages.map((page) => new URL(page).origin);
      const host = await stage.open(`${origins[0]}/`);
      assert.equal(await host.page.textContent('#join-title'), 'Start a call');
      await world.picture(host, 'start');
      await host.page.fill('#name', 'Host');
      await host.page.click('#join-button');
      host.name = 'Host';
      await host.until((state) => state.phase === 'connected' && state.people.length === 1);
      await host.page.click('#inviter');
      await host.page.fill('#other-page', `${origins[1]}/`);
      await world.picture(host, 'invitation');
      const [own, other] = await Promise.all(['#own-link', '#other-link'].map((field) => host.page.inputValue(field)));
      const guests = [await stage.join(own, 'Own', { source: 'green' }), await stage.join(other, 'Other', { source: 'blue' })];
      await host.until((state) => state.people.map(({ name, domain }) => `${name} ${domain}`).join() === 'Host a.localhost,Own a.localhost,Other b.localhost');
      await host.untilColour('Other', 'blue');
      for (const one of [...guests, host]) await one.leave();
      stage.participants.splice(-3);
    },
  },
  {
    name: 'the picture changes with the participant who is watched',
    always: true,
    async run(world) {
      const { stage, demo, bo } = world;
      world.cat = await stage.join(demo.pages[0], 'Cat', { source: 'blue' });
      await bo.until((state) => state.people.some(({ name }) => name === 'Cat'));
      for (const [watched, colour, other] of [['Ann', 'red', 'Cat'], ['Cat', 'blue', 'Ann'], ['Ann', 'red', 'Cat']]) {
        await bo.select({ person: watched, quality: 'low' });
        await bo.untilColour(watched, colour);
        await bo.until((state, name) => state.slots.length === 1 && !state.people.find((person) => person.name === name).pictured, other);
      }
      await bo.select({ person: 'Ann', quality: 'high' }, { person: 'Cat', quality: 'low' });
      await Promise.all([bo.untilColour('Ann', 'red'), bo.untilColour('Cat', 'blue')]);
      await world.picture(bo, 'three');
    },
  },
  {
    name: 'who mutes or turns the camera off is seen so on the other side',
    async run({ ann, bo }) {
      const seen = (state, want) => state.people.find(({ name }) => name === 'Ann')[want.field] === want.value;
      for (const value of [true, false]) {
        await ann.page.click('#mic');
        await bo.until(seen, { field: 'muted', value });
      }
      for (const value of [false, true]) {
        await ann.page.click('#camera');
        await bo.until(seen, { field: 'pictured', value });
      }
      await bo.untilColour('Ann', 'red');
    },
  },
  {
    name: 'with a wrong key nothing decodes, not even the names',
    async run(world) {
      const { stage, demo, ann } = world;
      const wrong = demo.pages[1].replace(/key=[^&]+/, `key=${Buffer.alloc(32, 7).toString('base64url')}`);
      const mallory = await stage.join(wrong, 'Mallory', { source: 'yellow' });
      await mallory.until((state) => state.people.length === 4 && state.people.filter(({ failing }) => failing).length > 0);
      await mallory.untilStats(({ encryption }) => encryption.failed > 100);
      const { receive, encryption } = await mallory.stats();
      assert.equal(encryption.opened, 0);
      assert.equal(encryption.foreign, 0, 'frames came that nobody encrypted');
      assert.equal(receive.reduce((sum, { framesDecoded }) => sum + framesDecoded, 0), 0);
      const { people, userid } = await mallory.state();
      assert.ok(people.every((person) => person.userid === userid || (person.name.startsWith('Guest ') && !person.pictured)));
      await world.picture(mallory, 'wrong-key');
      await ann.until((state) => state.people.every(({ name, pictured }) => !name.startsWith('Guest ') || !pictured));
      await mallory.leave();
      stage.participants.pop();
      await ann.until((state) => state.people.length === 3);
    },
  },
  {
    name: 'pinned, on a phone and with the panel open, everything stays on the screen',
    async run(world) {
      const { bo } = world;
      await bo.page.evaluate(() => window.anchor.pin('Ann'));
      await bo.page.waitForSelector('#stage:not([data-layout=grid])');
      await world.picture(bo, 'pinned');
      assert.deepEqual(await bo.page.evaluate(outside), []);
      await bo.page.evaluate(() => window.anchor.pin(null));
      await bo.page.waitForSelector('#stage[data-layout=grid]');
      await bo.page.click('#people');
      await world.picture(bo, 'panel');
      assert.deepEqual(await bo.page.evaluate(outside), []);
      await bo.page.click('#panel-close');
      await bo.page.setViewportSize({ width: 390, height: 844 });
      await bo.until(() => document.querySelector('.tile').getBoundingClientRect().right < 400);
      assert.deepEqual(await bo.page.evaluate(outside), []);
      await world.picture(bo, 'phone');
      await bo.page.setViewportSize({ width: 1280, height: 760 });
    },
  },
  {
    name: 'who leaves is gone on the other side at once',
    async run({ stage, ann, bo, cat }) {
      await cat.leave();
      stage.participants.splice(stage.participants.indexOf(cat), 1);
      for (const one of [ann, bo]) await one.until((state) => state.people.length === 2);
    },
  },
  {
    name: 'a lost transport comes back by itself, with the picture',
    async run({ bo }) {
      const { userid } = await bo.state();
      await bo.page.evaluate(() => window.anchor.breakTransport());
      await bo.until((state) => state.phase !== 'connected');
      await bo.until((state, own) => state.phase === 'connected' && state.people.at(-1)?.userid === own, userid);
      await bo.untilColour('Ann', 'red');
    },
  },
  {
    name: 'no page complained on its console',
    always: true,
    async run({ stage }) {
      const complaints = stage.participants.flatMap((one) => one.complaints.map((text) => `${one.name}: ${text}`));
      assert.deepEqual(complaints, []);
    },
  },
  // From here on pages may complain: their server is gone for a while.
  {
    name: 'a server that is killed comes back, and its people with it, in the other domain',
    run: (world) => survivesRestart(world, B),
  },
  {
    name: 'a server that is killed comes back, and its people with it, in the domain that holds the call',
    run: (world) => survivesRestart(world, A),
  },
];

/** Kills the SFT of one domain (the demo starts it again) and waits until both people see each other again. */
async function survivesRestart({ demo, ann, bo }, domain) {
  const one = domain === A ? ann : bo;
  process.kill(demo.pid(domain), 'SIGKILL');
  await one.until((state) => state.phase !== 'connected');
  for (const each of [ann, bo]) await each.until((state) => state.phase === 'connected' && state.people.length === 2);
  await Promise.all([bo.untilColour('Ann', 'red'), ann.until((state) => state.people.every(({ pictured }) => pictured))]);
}

async function useridOf(participant, name) {
  const { people } = await participant.state();
  return people.find((person) => person.name === name).userid;
}

/** Waits until SOME_FRAMES more were decoded of somebody's video. */
async function framesGrow(participant, userid) {
  const decoded = ({ receive }) => receive.find((entry) => entry.kind === 'video' && entry.userid === userid)?.framesDecoded ?? 0;
  const before = decoded(await participant.stats());
  const grown = ({ receive }, want) =>
    (receive.find((entry) => entry.kind === 'video' && entry.userid === want.userid)?.framesDecoded ?? 0) >= want.least;
  await participant.untilStats(grown, { userid, least: before + SOME_FRAMES });
}

// The rest runs in the page.

async function tryFrames() {
  const { frameKey, importConferenceKey, nameKey, openFrame, openName, readTrailer, sealFrame, sealName } = await import('/crypto.js');
  const conference = '00112233445566778899aabbccddeeff';
  const [right, other] = await Promise.all([1, 2].map((fill) => importConferenceKey(new Uint8Array(32).fill(fill))));
  const key = await frameKey(right, conference, 'video', 'ann');
  const plain = new Uint8Array([0, 1, 2, 3, 250]).buffer;
  const sealed = await sealFrame(key, plain, { counter: 4_000_000_000, sender: 7, layer: 'h' });
  const opens = async (opener, frame) => {
    const trailer = readTrailer(frame);
    if (!trailer) return false;
    return openFrame(opener, frame, trailer).then((bytes) => String(new Uint8Array(bytes)) === '0,1,2,3,250', () => false);
  };
  const changed = [];
  for (let bit = 0; bit < sealed.byteLength * 8; bit += 1) {
    const frame = sealed.slice(0);
    new Uint8Array(frame)[bit >> 3] ^= 1 << (bit & 7);
    if (await opens(key, frame)) changed.push(bit);
  }
  const names = await nameKey(right, conference);
  return {
    right: await opens(key, sealed),
    wrongKey: await opens(await frameKey(other, conference, 'video', 'ann'), sealed),
    wrongSender: await opens(await frameKey(right, conference, 'video', 'bo'), sealed),
    changed,
    short: readTrailer(new ArrayBuffer(8)) === null && readTrailer(new ArrayBuffer(0)) === null,
    name: await openName(names, await sealName(names, 'Zoë')),
    foreignName: await openName(await nameKey(other, conference), await sealName(names, 'Zoë')),
  };
}

async function tryLayouts() {
  const { bestGrid } = await import('/layout.js');
  const screens = [[1280, 640], [1920, 950], [374, 690], [844, 250], [700, 1000], [320, 420]];
  const wrong = [];
  for (const [width, height] of screens) {
    for (let count = 1; count <= 9; count += 1) {
      const tile = bestGrid(count, width, height);
      const rows = Math.ceil(count / tile.columns);
      const fits = tile.columns * (tile.width + 10) - 10 <= width && rows * (tile.height + 10) - 10 <= height;
      const used = (count * tile.width * tile.height) / (width * height);
      if (!fits || used < 0.35 || tile.width < tile.height) wrong.push({ width, height, count, tile, used });
    }
  }
  return wrong;
}

/** What reaches beyond the screen. */
function outside() {
  const wrong = [];
  if (document.documentElement.scrollWidth > innerWidth) wrong.push('the page scrolls sideways');
  for (const element of document.querySelectorAll('.tile, .controls button, .chip')) {
    const box = element.getBoundingClientRect();
    const inside = box.left >= 0 && box.top >= 0 && box.right <= innerWidth + 1 && box.bottom <= innerHeight + 1;
    if (!inside || box.width < 20) wrong.push(`${element.className} ${element.id} at ${Math.round(box.left)},${Math.round(box.top)} ${Math.round(box.width)}×${Math.round(box.height)}`);
  }
  return wrong;
}
