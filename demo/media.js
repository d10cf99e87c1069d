// What this tab sends: camera and microphone, or a test picture (`?source=red`, any CSS colour) that needs no camera.

const WIDTH = 640;
const FRAME_RATE = 24;
const TEST_FRAME_MS = 50;

/** What the page's query asks to send: { colour, height }. */
export function readQuery(query) {
  const fields = new URLSearchParams(query);
  const source = fields.get('source');
  return { colour: source && source !== 'camera' ? source : null, height: fields.get('height') === '720' ? 720 : 360 };
}

export class LocalMedia extends EventTarget {
  audio = null;
  video = null;
  /** What the self view shows. */
  preview = new MediaStream();
  /** Why there is no camera or microphone, for people; empty where there is nothing to say. */
  problem = '';
  #stopDrawing = () => {};

  constructor(wishes) {
    super();
    this.wishes = wishes;
  }

  /** Opens microphone and camera; what is refused or missing stays null. */
  async open() {
    await Promise.all([this.openMicrophone(), this.openCamera()]);
  }

  async openMicrophone() {
    const processing = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    this.audio = await this.#ask({ audio: processing }, 'microphone');
  }

  async openCamera() {
    this.closeCamera();
    const { colour, height } = this.wishes;
    const size = { width: { ideal: (height * 16) / 9 }, height: { ideal: height }, frameRate: { ideal: FRAME_RATE } };
    this.video = colour ? this.#draw(colour) : await this.#ask({ video: size }, 'camera');
    if (this.video) this.preview.addTrack(this.video);
  }

  closeCamera() {
    this.#stopDrawing();
    if (!this.video) return;
    this.preview.removeTrack(this.video);
    this.video.stop();
    this.video = null;
  }

  /** Silence without giving the microphone back, so that unmuting is immediate. */
  mute(muted) {
    if (this.audio) this.audio.enabled = !muted;
  }

  close() {
    this.closeCamera();
    this.audio?.stop();
    this.audio = null;
  }

  async #ask(constraints, device) {
    try {
      const stream = await navigator.mediaDevices.getUserMedia(constraints);
      return stream.getTracks()[0];
    } catch (error) {
      this.problem = explain(error, device);
      return null;
    }
  }

  #draw(colour) {
    const canvas = document.createElement('canvas');
    canvas.width = WIDTH;
    canvas.height = (WIDTH * 9) / 16;
    const timer = setInterval(() => paint(canvas, colour), TEST_FRAME_MS);
    this.#stopDrawing = () => clearInterval(timer);
    paint(canvas, colour);
    return canvas.captureStream(1000 / TEST_FRAME_MS).getVideoTracks()[0];
  }
}

function explain(error, device) {
  if (error.name === 'NotFoundError') return `No ${device} found; you can still join.`;
  if (error.name === 'NotAllowedError') return `The browser was not allowed to use the ${device}; you can still join.`;
  return `The ${device} cannot be used; you can still join.`;
}

/** A plain colour with a moving clock hand at the edge: the middle stays one colour, every frame differs. */
function paint(canvas, colour) {
  const pen = canvas.getContext('2d');
  pen.fillStyle = colour;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  const turn = (performance.now() / 2000) * Math.PI;
  pen.fillStyle = '#ffffffb0';
  pen.beginPath();
  pen.arc(canvas.width / 2 + Math.cos(turn) * 130, canvas.height / 2 + Math.sin(turn) * 130, 18, 0, 2 * Math.PI);
  pen.fill();
}
