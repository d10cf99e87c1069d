// One call of stock Wire clients. Plays what Wire's backend does for them: tells each its SFT, carries their messages to each other, gives
// MLS epochs, and makes their HTTP requests. Only loopback is contacted.
import {chromium} from 'playwright-core';
import crypto from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import {fileURLToPath} from 'node:url';
import {checks} from './checks.mjs';
import {Person} from './person.mjs';

const HERE = path.dirname(fileURLToPath(import.meta.url));
const CONFERENCE = 2, CONFERENCE_MLS = 3;
const ESTABLISH_MS = 40_000;
// A client misses five PINGs, 25 s, before it connects again.
const COME_BACK_MS = 125_000;
const CHROMIUM = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update',
  '--disable-sync', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', '--allow-loopback-in-peer-connection',
  '--autoplay-policy=no-user-gesture-required', '--disable-background-timer-throttling', '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows', '--disable-features=WebRtcHideLocalIpsWithMdns',
];

/**
 * options: sfts [a, b] base URLs · people · seconds · federated · mls · video · quality 0 any, 1 low, 2 high · chromium · verbose
 *          killed 'a' or 'b', the domain whose SFT ends during the call, by kill(domain)
 * Returns {ok, failed: [name of check], errors: [text]}.
 */
export async function drive(options) {
  const call = new Call(options);
  try {
    await call.open();
    await call.begin();
    await call.last();
    if (options.killed) await call.survive();
    await call.end();
  } catch (error) {
    call.errors.push(String(error?.stack ?? error));
  } finally {
    await call.close();
  }
  const failed = call.errors.length ? [] : Object.entries(checks(call.people, call.requests, options));
  const names = failed.filter(([, holds]) => !holds).map(([name]) => name);
  const errors = [...call.errors, ...call.people.flatMap(person => person.errors.map(error => `${person.name}: ${error}`))];
  return {ok: names.length === 0 && errors.length === 0, failed: names, errors};
}

class Call {
  constructor(options) {
    this.options = options;
    this.id = `${crypto.randomUUID()}@a.wire.test`;
    this.type = options.mls ? CONFERENCE_MLS : CONFERENCE;
    this.people = Array.from({length: options.people}, (_, number) => {
      const side = options.federated ? number % 2 : 0;
      return new Person(number, 'ab'[side], options.sfts[side]);
    });
    this.epoch = 0;
    this.key = newKey();
    this.requests = [];
    this.errors = [];
  }

  async open() {
    const bundle = fs.readFileSync(path.join(HERE, 'page/bundle.js'));
    this.web = http.createServer((request, response) => {
      const script = request.url === '/bundle.js';
      response.setHeader('content-type', script ? 'text/javascript' : 'text/html');
      response.end(script ? bundle : '<!doctype html><meta charset=utf-8><body><script src="/bundle.js"></script>');
    });
    await new Promise(listening => this.web.listen(0, '127.0.0.1', listening));
    const origin = `http://127.0.0.1:${this.web.address().port}`;
    this.profile = fs.mkdtempSync(path.join(os.tmpdir(), 'wire-profile-'));
    const settings = {executablePath: this.options.chromium, headless: true, permissions: ['camera', 'microphone'], args: CHROMIUM};
    this.context = await chromium.launchPersistentContext(this.profile, settings);
    for (const person of this.people) await person.start(this.context, `${origin}/`, (who, event) => this.on(who, event));
    await until('every client asked for its configuration', 10_000, () => this.people.every(person => person.configured));
  }

  /** The first calls, the others answer one after the other; returns when all are in. */
  async begin() {
    const [caller, ...others] = this.people;
    const callType = this.options.video ? 1 : 0;
    caller.joined = true;
    await caller.ask('start', {convid: this.id, callType, convType: this.type});
    if (this.options.mls) await this.newEpoch();
    for (const person of others) {
      await until(`${person.name} is called`, ESTABLISH_MS, () => person.incoming > 0);
      person.joined = true;
      if (!this.options.mls) await person.ask('setClients', {convid: this.id, clients: this.clients()});
      await person.ask('answer', {convid: this.id, callType});
      if (this.options.mls) await this.newEpoch();
    }
    await until('all are established', ESTABLISH_MS, () => this.people.every(person => person.established));
    const hears = person => person.members.filter(member => member.aestab === 1).length === this.people.length;
    await until('all have audio of all', ESTABLISH_MS, () => this.people.every(hears));
    if (this.options.video) for (const person of this.people) await person.ask('requestStreams', {clients: this.wanted(person)});
  }

  wanted(person) {
    const others = this.people.filter(other => other !== person);
    return others.map(({userid, clientid}) => ({userid, clientid, quality: this.options.quality}));
  }

  /** Mute must be seen by the others; then the call goes on for its time. */
  async last() {
    const [caller, ...others] = this.people;
    for (const muted of [1, 0]) {
      await caller.ask('mute', muted);
      const sees = person => person.members.find(member => member.userid === caller.userid)?.muted === muted;
      await until(`muted ${muted} is seen`, 5_000, () => others.every(sees));
    }
    // This is the length of the call, nothing is waited for.
    await pause(this.options.seconds * 1000);
    for (const person of this.people) person.snapshot = await person.ask('snapshot');
  }

  /** An SFT dies: its people come back by themselves, and everyone hears everyone again. */
  async survive() {
    const back = this.people.filter(person => person.home === this.options.killed);
    const count = this.people.length;
    for (const person of this.people) person.received = [];
    for (const person of back) person.decrypted.audio.clear();
    this.options.kill(this.options.killed);
    await until('the killed SFT\'s people connect again', COME_BACK_MS, () => back.every(person => person.connects > 1));
    await until('all are established again', COME_BACK_MS, () => this.people.every(person => person.established));
    await until('every roster has everyone again', COME_BACK_MS, () => this.people.every(person => person.roster === count));
    await until('who came back decrypts everyone', COME_BACK_MS, () => back.every(person => person.decrypted.audio.size === count - 1));
    const stayed = this.people.filter(person => !back.includes(person));
    for (const person of stayed) await this.hears(person, count - 1);
    for (const person of this.people) person.snapshot = await person.ask('snapshot');
  }

  /** Audio comes in on as many slots as there are others. */
  async hears(person, others) {
    const packets = async () => new Map((await person.ask('stats')).flatMap(({inbound}) => inbound)
      .filter(({kind}) => kind === 'audio').map(({ssrc, packets}) => [ssrc, packets]));
    const before = await packets();
    for (const end = Date.now() + COME_BACK_MS; ; await pause(200)) {
      const now = await packets();
      const growing = [...now].filter(([ssrc, count]) => count > (before.get(ssrc) ?? 0) + 50).length;
      if (growing >= others) return;
      if (Date.now() > end) throw new Error(`not within ${COME_BACK_MS} ms: ${person.name} hears ${others} others, only ${growing}`);
    }
  }

  async end() {
    for (const person of this.people) {
      person.ended = true;
      await person.ask('end');
    }
    await until('all are closed', 10_000, () => this.people.every(person => person.closed !== null));
  }

  async close() {
    await this.context?.close().catch(() => {});
    this.web?.close();
    if (this.profile) fs.rmSync(this.profile, {recursive: true, force: true});
  }

  clients() {
    return this.people.map(({userid, clientid}) => ({userid, clientid}));
  }

  epochClients() {
    return this.people.map(({userid, clientid, joined, ended}) => ({userid, clientid, in_subconv: joined && !ended}));
  }

  async newEpoch() {
    this.epoch += 1;
    this.key = newKey();
    for (const person of this.people.filter(({joined, ended}) => joined && !ended)) this.tellEpoch(person);
  }

  tellEpoch(person) {
    return person.tell('setEpoch', {convid: this.id, epoch: this.epoch || 1, key: this.key, clients: this.epochClients()});
  }

  on(person, event) {
    if (this.options.verbose && !['log', 'dc', 'pc'].includes(event.type)) console.error(person.name, JSON.stringify(event).slice(0, 200));
    switch (event.type) {
      case 'cfgReq': person.tell('config', JSON.stringify(this.config(person))).then(() => { person.configured = true; }); break;
      case 'sft': this.request(person, event); break;
      case 'send': this.deliver(person, event); break;
      case 'reqClients': this.options.mls ? this.tellEpoch(person) : person.tell('setClients', {convid: this.id, clients: this.clients()}); break;
      case 'reqNewEpoch': this.newEpoch(); break;
    }
  }

  /** What Wire's backend answers to GET /calls/config. */
  config(person) {
    const own = [{urls: [person.sft]}];
    const federated = this.options.federated ? {sft_servers_all: own, is_federating: true} : {};
    return {ttl: 3600, sft_servers: own, ...federated};
  }

  /** The client's request to an SFT; as in Wire's web app, any failure is status 1000. */
  async request(person, {url, data, ctx}) {
    let status = 1000, body = '';
    try {
      if (new URL(url).hostname !== '127.0.0.1') throw new Error(`not loopback: ${url}`);
      this.requests.push(JSON.parse(data));
      const headers = {'content-type': 'application/x-www-form-urlencoded', accept: 'application/json, text/plain, */*'};
      const response = await fetch(url, {method: 'POST', body: loopbackOnly(data), headers, signal: AbortSignal.timeout(60_000)});
      if (!response.ok) throw new Error(`HTTP status ${response.status}`);
      [status, body] = [response.status, await response.text()];
    } catch (error) {
      person.errors.push(String(error));
    }
    await person.tell('sftResp', {status, body, ctx});
  }

  /** A message of one client to others, end-to-end encrypted in reality. */
  async deliver(person, {ctx, data, targets, myClientsOnly, convid}) {
    const listed = targets && JSON.parse(targets).clients;
    const meant = other => !listed || listed.some(({userid, clientid}) => userid === other.userid && clientid === other.clientid);
    await person.tell('sendResp', {status: 200, reason: '', ctx});
    if (myClientsOnly) return;
    const now = Math.floor(Date.now() / 1000);
    const message = {data, now, time: now, convid, userid: person.userid, clientid: person.clientid, convType: this.type};
    for (const other of this.people.filter(other => other !== person && meant(other))) await other.tell('recv', message);
  }
}

/** Takes every other address out of an answer, so that no packet leaves the machine. */
function loopbackOnly(data) {
  const message = JSON.parse(data);
  if (!message.sdp) return data;
  const stays = line => !line.startsWith('a=candidate:') || / udp .* 127\.0\.0\.1 /i.test(line);
  return JSON.stringify({...message, sdp: message.sdp.split('\r\n').filter(stays).join('\r\n')});
}

function newKey() {
  return crypto.randomBytes(32).toString('base64');
}

function pause(ms) {
  return new Promise(over => setTimeout(over, ms));
}

async function until(what, ms, reached) {
  for (const end = Date.now() + ms; !reached(); await pause(50)) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
  }
}
