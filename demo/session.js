// One transport to the SFT: a peer connection made from the SFT's offer, and its data channel. A reconnect makes a new one.
//
// The offer has fixed m-lines: `audio` and `video` for upload, `data`, then the receive slots. Joining and leaving never renegotiates.
// Events: `open`, `message` (detail: text), `lost` (detail: why), each at most once but `message`.

import { peerOptions } from './e2ee.js';

// Upload per layer; the upper is what the camera gives, the lower half of it in each direction.
const ENCODINGS = {
  l: { scaleResolutionDownBy: 2, maxBitrate: 300_000 },
  h: { scaleResolutionDownBy: 1, maxBitrate: 1_500_000 },
};
// Offer taken to data channel open; stock clients give up after the same time.
const OPEN_LIMIT_MS = 15_000;
// "disconnected" often heals by itself, within a few checks.
const HEALING_LIMIT_MS = 4_000;

export class Session extends EventTarget {
  #channel = null;
  #timer = 0;
  #over = false;

  constructor(encryption) {
    super();
    this.encryption = encryption;
    this.connection = new RTCPeerConnection({ bundlePolicy: 'max-bundle', ...peerOptions });
    /** Receive slots in the order of the offer: { mid, track, stream, receiver }. */
    this.audioSlots = [];
    this.videoSlots = [];
    this.connection.ontrack = (event) => this.#addSlot(event);
    this.connection.ondatachannel = (event) => this.#adopt(event.channel);
    this.connection.onconnectionstatechange = () => this.#watch();
  }

  /** Takes the SFT's offer and the tracks to upload (either may be null); gives the answer. */
  async answer(offer, { audio, video }) {
    await this.connection.setRemoteDescription({ type: 'offer', sdp: constantBitRate(offer) });
    // In this very task: a transform that is set after anything else was awaited is silently ignored (Chromium 156), and frames
    // would leave unencrypted.
    for (const kind of ['audio', 'video']) this.#protect(kind);
    await this.#upload('audio', audio);
    await this.#upload('video', video);
    const answer = await this.connection.createAnswer();
    await this.connection.setLocalDescription(answer);
    this.#limit(OPEN_LIMIT_MS, 'the data channel did not open');
    // No candidates: the SFT answers wherever our checks come from, and need not be told our addresses.
    return answer.sdp;
  }

  /** The transceiver of the upload m-line `audio` or `video`; undefined before the offer is in. */
  upload(mid) {
    return this.connection.getTransceivers().find((transceiver) => transceiver.mid === mid);
  }

  send(text) {
    if (this.#channel?.readyState === 'open') this.#channel.send(text);
  }

  /** Ends the transport without an event. */
  close() {
    this.#over = true;
    clearTimeout(this.#timer);
    this.connection.close();
  }

  #protect(kind) {
    const transceiver = this.upload(kind);
    if (transceiver) this.encryption.protectSender(transceiver.sender, kind);
  }

  async #upload(mid, track) {
    const transceiver = this.upload(mid);
    if (!transceiver) return;
    transceiver.direction = 'sendonly';
    if (mid === 'video') await limitEncodings(transceiver.sender);
    await transceiver.sender.replaceTrack(track);
  }

  #addSlot({ transceiver, track }) {
    if (transceiver.mid === 'audio' || transceiver.mid === 'video') return;
    const slot = { mid: transceiver.mid, track, stream: new MediaStream([track]), receiver: transceiver.receiver };
    this.encryption.protectReceiver(transceiver.receiver, track.kind, slot.mid);
    (track.kind === 'audio' ? this.audioSlots : this.videoSlots).push(slot);
  }

  #adopt(channel) {
    this.#channel = channel;
    channel.onopen = () => {
      clearTimeout(this.#timer);
      this.dispatchEvent(new CustomEvent('open'));
    };
    channel.onmessage = (event) => this.dispatchEvent(new CustomEvent('message', { detail: event.data }));
    channel.onclose = () => this.lose('the data channel closed');
  }

  #watch() {
    const state = this.connection.connectionState;
    if (state === 'failed' || state === 'closed') this.lose('the connection failed');
    if (state === 'disconnected') this.#limit(HEALING_LIMIT_MS, 'the connection broke');
    if (state === 'connected' && this.#channel?.readyState === 'open') clearTimeout(this.#timer);
  }

  #limit(milliseconds, why) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.lose(why), milliseconds);
  }

  /** Ends the transport, with the event `lost`. */
  lose(why) {
    if (this.#over) return;
    this.close();
    this.dispatchEvent(new CustomEvent('lost', { detail: why }));
  }
}

/** With a variable bit rate the size of encrypted audio would give away what is said; `cbr=1` is what stock clients do. */
function constantBitRate(sdp) {
  return sdp.replace(/^(a=fmtp:111 (?!.*cbr=1).*useinbandfec=1)/gm, '$1;cbr=1');
}

/** The offer's rids make the encodings; only their sizes and rates are ours to set. */
async function limitEncodings(sender) {
  const parameters = sender.getParameters();
  for (const encoding of parameters.encodings) Object.assign(encoding, ENCODINGS[encoding.rid] ?? ENCODINGS.h);
  await sender.setParameters(parameters);
}
