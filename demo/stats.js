// What getStats knows, in the words of this page.

/** Reads one session's statistics; losses and rates are those since the previous reading. */
export class StatsReader {
  #before = new Map();

  /** { receive: [per slot], send: [per encoding], level: own microphone 0 to 1 } */
  async read(session) {
    const receive = [];
    const send = [];
    let level = 0;
    for (const entry of (await session.connection.getStats()).values()) {
      if (entry.type === 'inbound-rtp') receive.push(this.#slot(entry));
      if (entry.type === 'outbound-rtp') send.push(encoding(entry));
      if (entry.type === 'media-source' && entry.kind === 'audio') level = entry.audioLevel ?? 0;
    }
    return { receive, send, level };
  }

  #slot(entry) {
    const before = this.#before.get(entry.id) ?? { packetsLost: 0, packetsReceived: 0 };
    this.#before.set(entry.id, entry);
    const lost = Math.max(0, (entry.packetsLost ?? 0) - before.packetsLost);
    const expected = lost + Math.max(0, (entry.packetsReceived ?? 0) - before.packetsReceived);
    return {
      slot: entry.mid,
      kind: entry.kind,
      width: entry.frameWidth ?? 0,
      height: entry.frameHeight ?? 0,
      fps: entry.framesPerSecond ?? 0,
      framesReceived: entry.framesReceived ?? 0,
      framesDecoded: entry.framesDecoded ?? 0,
      packetsReceived: entry.packetsReceived ?? 0,
      packetsLost: entry.packetsLost ?? 0,
      lossPercent: expected ? (100 * lost) / expected : 0,
      totalAudioEnergy: entry.totalAudioEnergy ?? 0,
      audioLevel: entry.audioLevel ?? 0,
    };
  }
}

function encoding(entry) {
  return {
    kind: entry.kind,
    rid: entry.rid ?? '',
    ssrc: entry.ssrc,
    width: entry.frameWidth ?? 0,
    height: entry.frameHeight ?? 0,
    fps: entry.framesPerSecond ?? 0,
    packetsSent: entry.packetsSent ?? 0,
    framesEncoded: entry.framesEncoded ?? 0,
    targetBitrate: entry.targetBitrate ?? 0,
  };
}

/** Calls `tell(ssrc, level)` for everyone who is heard in the audio slots now; the SFT names the sender of a slot (CSRC). */
export function readLevels(session, tell) {
  for (const slot of session.audioSlots) {
    for (const source of slot.receiver.getContributingSources()) tell(source.source, source.audioLevel ?? 0);
  }
}
