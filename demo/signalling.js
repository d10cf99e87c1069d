// Messages of Wire's clients (protocol version 3.0) as this page writes and reads them: CONFCONN, SETUP and UPDATE over HTTP, the
// rest over the data channel. The SFT's answers carry two extensions: `domain` in a roster line, `reason` in a refusal.

const VERSION = '3.0';
// Stock clients announce themselves so; the SFT offers two simulcast layers from major version 10 on.
const TOOL_VERSION = '10.0.0';
/** Video slots asked for: what stock clients ask for. */
export const VIDEO_SLOTS = 9;
// The SFT answers within 5 s, or holds a request while it is short of room (up to 14 s).
const ANSWER_LIMIT_MS = 15_000;

/** The SFT could not be reached, or answered with something that is no message. */
export class Unreachable extends Error {}

/** Writes and posts the messages of one participant in one conference. */
export class Signalling {
  constructor({ conference, userid, sftUrl, sftTuple }) {
    this.conference = conference;
    this.userid = userid;
    this.anchor = sftTuple ? { sft_url: sftUrl ?? undefined, sft_tuple: sftTuple } : {};
  }

  /** Asks to join; answers { offer, url, tuple, update } or { refused: { status, reason } }. */
  async connect(update) {
    const answer = await this.#post('CONFCONN', {
      resp: false,
      ice_servers: [],
      update,
      tool: `anchor-page ${TOOL_VERSION}`,
      toolver: TOOL_VERSION,
      env: 0,
      status: 0,
      selective_audio: true,
      selective_video: true,
      vstreams: VIDEO_SLOTS,
      ...this.anchor,
    });
    if (answer.type === 'CONFCONN') return { refused: { status: answer.status, reason: answer.reason ?? '' } };
    if (!answer.sdp) throw new Unreachable('no offer');
    return { offer: answer.sdp, url: answer.url, tuple: answer.sft_tuple, update: answer.type === 'UPDATE' };
  }

  /** Posts the answer to an offer; true where the SFT took it. */
  async answer(sdp, update, props) {
    const answer = await this.#post(update ? 'UPDATE' : 'SETUP', { resp: true, sdp, props });
    return !answer.status;
  }

  /** A message for the data channel. */
  write(type, fields) {
    return JSON.stringify(this.#message(type, fields));
  }

  #message(type, fields) {
    const envelope = { version: VERSION, type, sessid: this.conference, src_userid: this.userid, src_clientid: '_' };
    return { ...envelope, dest_userid: 'sft', dest_clientid: 'SFT', ...fields };
  }

  async #post(type, fields) {
    try {
      const response = await fetch(`/sft/${this.conference}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(this.#message(type, fields)),
        signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
      });
      if (!response.ok) throw new Unreachable(`status ${response.status}`);
      return JSON.parse((await response.text()) || '{}');
    } catch (cause) {
      throw cause instanceof Unreachable ? cause : new Unreachable('no answer', { cause });
    }
  }
}

/** Reads a message of the data channel; null where it is none. */
export function read(text) {
  try {
    const message = JSON.parse(text);
    return message.version === VERSION ? { ...message, type: String(message.type).toUpperCase() } : null;
  } catch {
    return null;
  }
}

/** The participants of a CONFPART. */
export function readRoster(message) {
  return (message.participants ?? []).map((line) => ({
    userid: line.userid,
    clientid: line.clientid,
    ssrcAudio: Number(line.ssrc_audio),
    ssrcVideo: Number(line.ssrc_video),
    domain: line.domain ?? '',
    muted: line.muted === true,
  }));
}

/** The fields of a CONFPART response that accepts everyone but the sender. */
export function acceptance(roster, userid) {
  const others = roster.filter((participant) => participant.userid !== userid);
  const participants = others.map((participant) => ({
    userid: participant.userid,
    clientid: participant.clientid,
    authorized: true,
    ssrc_audio: String(participant.ssrcAudio),
    ssrc_video: String(participant.ssrcVideo),
  }));
  return { resp: true, should_start: false, timestamp: '0', seqno: '0', entropy: '', participants };
}
