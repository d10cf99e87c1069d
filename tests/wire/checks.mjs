// What must be true of a call; each name becomes a line when it is not.

/** `people` with their last `snapshot`; returns name → boolean. */
export function checks(people, requests, options) {
  const all = condition => people.every(condition);
  const others = people.length - 1;
  const checks = {
    all_established: all(person => person.states.includes('MEDIA_ESTAB')),
    all_datachannels_open: all(person => person.open),
    all_got_confpart: all(person => person.received.some(message => message.type === 'CONFPART')),
    all_pings_answered: options.killed || all(person => count(person.received, 'PING') >= count(person.sent, 'PING') - 1),
    all_list_all_members: all(person => person.snapshot.members.length === people.length),
    all_members_audio_established: all(person => person.snapshot.members.every(member => member.aestab === 1)),
    audio_packets_received: all(person => inbound(person, 'audio').some(stream => stream.packets > 5)),
    audio_decrypted_from_all_peers: all(person => person.decrypted.audio.size >= others),
    no_needless_reconnects: all(person => person.connects <= (person.home === options.killed ? 2 : 1)),
    clean_close: all(person => [0, 7].includes(person.closed)),
    no_errors: all(person => person.errors.length === 0),
  };
  if (options.video) {
    checks.video_decrypted = all(person => person.decrypted.video.size >= others);
    checks.video_frames_decoded = all(person => inbound(person, 'video').some(stream => stream.framesDecoded > 5));
    checks.video_state_propagated = all(person => person.snapshot.members.every(member => member.vrecv === 1));
  }
  if (options.federated) {
    checks.federated_confconn_names_the_anchor = requests.some(request => request.type === 'CONFCONN' && request.sft_url);
  }
  return checks;
}

function inbound(person, kind) {
  return person.snapshot.stats.flatMap(connection => connection.inbound).filter(stream => stream.kind === kind);
}

function count(messages, type) {
  return messages.filter(message => message.type === type).length;
}
