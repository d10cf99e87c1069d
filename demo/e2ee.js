// The page's side of end-to-end encryption: connects senders and receivers with the worker that holds the keys.
//
// RTCRtpScriptTransform is the standard; older Chromium has createEncodedStreams, which a peer connection must be told of when it
// is made (`peerOptions`). A browser with neither must not join: nothing is ever sent unencrypted.

const scripted = 'RTCRtpScriptTransform' in globalThis;
const streamed = !scripted && 'RTCRtpSender' in globalThis && 'createEncodedStreams' in RTCRtpSender.prototype;

/** Whether this browser can encrypt frames. */
export const supported = scripted || streamed;
/** What an RTCPeerConnection needs to be made with. */
export const peerOptions = streamed ? { encodedInsertableStreams: true } : {};
/** Which of the browser's interfaces is used. */
export const method = scripted ? 'RTCRtpScriptTransform' : streamed ? 'createEncodedStreams' : 'none';

/** Emits `source` { slot, userid, layer } and `failing` { slot, userid } as CustomEvents. */
export class Encryption extends EventTarget {
  #worker = new Worker('e2ee-worker.js', { type: 'module' });
  #waiting = new Map();
  #asked = 0;

  constructor(conference, keyBytes) {
    super();
    this.#worker.onmessage = (event) => this.#receive(event.data);
    this.#worker.postMessage({ type: 'keys', conference, key: keyBytes });
  }

  /** Encrypts what a sender sends; `kind` is audio or video. */
  protectSender(sender, kind) {
    this.#connect(sender, { side: 'send', kind });
  }

  /** Decrypts what a receiver gets; `slot` names it in events. */
  protectReceiver(receiver, kind, slot) {
    this.#connect(receiver, { side: 'receive', kind, slot });
  }

  /** Tells whose frames are whose, and how to sign the own ones. */
  roster(participants, userid) {
    const line = participants.find((participant) => participant.userid === userid);
    const own = line && { userid, audio: line.ssrcAudio, video: line.ssrcVideo };
    const others = participants.filter((participant) => participant.userid !== userid);
    const map = (ssrc) => others.map((participant) => [participant[ssrc], participant.userid]);
    this.#worker.postMessage({ type: 'roster', own, audio: map('ssrcAudio'), video: map('ssrcVideo') });
  }

  /** Tells which layer ('l', 'h') an own encoding's SSRC is. */
  layers(layers) {
    this.#worker.postMessage({ type: 'layers', layers });
  }

  /** How many frames were sealed, opened, and refused and why. */
  counters() {
    const id = (this.#asked += 1);
    this.#worker.postMessage({ type: 'counters', id });
    return new Promise((resolve) => this.#waiting.set(id, resolve));
  }

  /** Ends the worker; its keys are gone. */
  close() {
    this.#worker.terminate();
  }

  #connect(end, options) {
    if (scripted) {
      end.transform = new RTCRtpScriptTransform(this.#worker, options);
      return;
    }
    const { readable, writable } = end.createEncodedStreams();
    this.#worker.postMessage({ type: 'stream', ...options, readable, writable }, [readable, writable]);
  }

  #receive(message) {
    if (message.type !== 'counters') {
      this.dispatchEvent(new CustomEvent(message.type, { detail: message }));
      return;
    }
    this.#waiting.get(message.id)?.(message.counters);
    this.#waiting.delete(message.id);
  }
}
