//! Every upper bound of the program, each with the reason for its number.
//!
//! Whatever comes from a client, a peer, a file or an operator meets one of these first.

use std::time::Duration;

/// Bytes of a conference, user, client or node id: Wire's clients read at most 127 characters.
pub const MAX_ID_BYTES: usize = 127;
/// Bytes of a DNS name (RFC 1035 §2.3.4).
pub const MAX_DOMAIN_BYTES: usize = 253;
/// Bytes of an HTTP request body: what the incumbent accepts, and ten times the largest SETUP seen.
pub const MAX_BODY_BYTES: usize = 512 * 1024;
/// Bytes of one message on a data channel; a roster answer of 1000 participants is about 170 KiB.
pub const MAX_TEXT_BYTES: usize = 256 * 1024;
/// Bytes of an SDP answer: the stock client's is 17 KiB with 17 m-lines; 32 video slots need 40.
pub const MAX_SDP_BYTES: usize = 128 * 1024;
/// Lines of an SDP answer; the stock client's has 450.
pub const MAX_SDP_LINES: usize = 4096;

/// Audio slots of a session: the reserved one and the four loudest (what stock clients were built for).
pub const AUDIO_SLOTS: usize = 5;
/// Video slots a client may ask for; clients are clamped to it, as by the incumbent.
pub const MAX_VIDEO_SLOTS: usize = 32;
/// Entries of a client's CONFSTREAMS list that are read; the rest has no slot anyway.
pub const MAX_SELECTED: usize = MAX_VIDEO_SLOTS;
/// Properties a participant may publish: stock clients know six.
pub const MAX_PROPS: usize = 16;
/// Bytes of one property's name or value.
pub const MAX_PROP_BYTES: usize = 256;
/// Incoming SSRCs remembered per session: audio, two layers, their repair streams, and as many again after a restart of the sender.
pub const MAX_SSRCS_PER_SESSION: usize = 16;

/// Arrivals remembered per session for transport-wide feedback: 100 ms at 50 Mbit/s are 500, and 24 bytes each.
pub const MAX_FEEDBACK_ARRIVALS: usize = 1024;

/// Participants of one conference, all domains together: authorization is one bit per ordered pair, 125 KiB at this size.
pub const MAX_PARTICIPANTS: usize = 1000;
/// Conferences on one SFT; an empty one costs about 4 KiB.
pub const MAX_CONFERENCES: usize = 10_000;
/// Sessions that have not opened their data channel: 2 KiB each before STUN validates, so 4 MiB in all.
pub const MAX_HALF_OPEN: usize = 2000;
/// Half-open sessions per client address (a /24 or /56 behind one NAT races three SFTs for 16 people).
pub const MAX_HALF_OPEN_PER_SOURCE: usize = 50;
/// Half-open sessions per conference: a class of 20 joining in one second.
pub const MAX_HALF_OPEN_PER_CONFERENCE: usize = 20;
/// DTLS datagrams kept per session until the SETUP answer is in: one flight of a post-quantum ClientHello is two.
pub const MAX_HELD_DTLS: usize = 4;
/// Bytes of one DTLS datagram: handshake flights of browsers reach 1408, SCTP adds its own bound below that.
pub const MAX_DTLS_BYTES: usize = 2048;
/// Addresses of one client that are valid at a time: Wi-Fi, mobile and a relay, each over IPv4 and IPv6, and two more.
pub const MAX_PATHS: usize = 8;
/// Packets that may arrive late before the replay window forgets them (RFC 3711 §3.3.2 asks for 64): a second of 8 Mbit/s video.
pub const REPLAY_WINDOW: u64 = 1024;
/// Outgoing SSRCs of a session: every slot, each video slot with its repair stream, and our own for RTCP; 150 bytes each.
pub const MAX_OUTGOING_SSRCS: usize = AUDIO_SLOTS + 2 * MAX_VIDEO_SLOTS + 3;
/// Bytes that wait to be acknowledged on a data channel before sending is refused: four of the largest texts.
pub const MAX_CHANNEL_BACKLOG: usize = 4 * MAX_TEXT_BYTES;
/// Bytes of unread data on a data channel: the largest text, and as much that arrives behind a gap.
pub const CHANNEL_RECEIVE_BYTES: usize = 2 * MAX_TEXT_BYTES;
/// Data channel streams a client may open besides ours; we read none of them, each costs about 500 bytes.
pub const MAX_FOREIGN_STREAMS: usize = 16;
/// How long a session that was told to close waits for its last texts to be acknowledged.
pub const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// A set-up nobody answered ends after this (the incumbent's value; clients race several SFTs and drop the losers).
pub const SETUP_TIMEOUT: Duration = Duration::from_secs(10);
/// From the answer to the open data channel; the stock client gives up after 15 s.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// A session without a PING for this long ends (clients send one every 5 s).
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// No media to an address whose last valid check is older (RFC 7675 §5.1).
pub const CONSENT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client's CONFCONN waits for the anchor's word.
pub const ATTACH_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a refusal about this server waits, so that another SFT of the client's race can win: the client gives up after 15 s.
pub const REFUSAL_HOLD: Duration = Duration::from_secs(14);
/// Refusals that wait at once; each keeps a connection open, about 16 KiB.
pub const MAX_HELD_REFUSALS: usize = 256;
/// An attach lease that nobody used ends after this.
pub const LEASE_TIMEOUT: Duration = Duration::from_secs(15);
/// A lost link leaves rosters untouched for this long: a blip must not change the key generator.
pub const LINK_GRACE: Duration = Duration::from_secs(4);
/// First pause before a link is dialled again …
pub const REDIAL_FIRST: Duration = Duration::from_millis(500);
/// … doubling to this.
pub const REDIAL_MAX: Duration = Duration::from_secs(10);
/// A link whose peer has not said `hello` by then ends.
pub const HELLO_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of one frame on a link stream: a roster of 1000 participants is about 200 KiB.
pub const MAX_FRAME_BYTES: usize = 262_144;
/// Bytes of the participants in a roster: what fits into one frame beside its stamp and URLs (8 of 255 bytes). With ids as stock clients
/// have them, of 32 characters, that is more than [`MAX_PARTICIPANTS`]; with the longest ids it is 400.
pub const MAX_ROSTER_BYTES: usize = MAX_FRAME_BYTES - 8 * 1024;
/// Nesting of JSON in a frame; our deepest message has 4.
pub const MAX_JSON_DEPTH: usize = 8;
/// Conference streams a peer may hold open on a link.
pub const MAX_LINK_STREAMS: usize = 1000;
/// Flows a peer may publish on one link: 500 participants with audio and two layers.
pub const MAX_LINK_FLOWS: usize = 1500;
/// Links a process holds, accepted and dialled.
pub const MAX_LINKS: usize = 256;
/// Certificates in a peer's chain: leaf, two intermediates, root.
pub const MAX_CHAIN_CERTIFICATES: usize = 4;
/// Bytes of a peer's chain; four certificates with RSA-4096 keys have 8 KiB.
pub const MAX_CHAIN_BYTES: usize = 16 * 1024;
/// DNS names of a certificate that are looked at; a leaf of ours has one.
pub const MAX_CERTIFICATE_NAMES: usize = 64;
/// Addresses of a peer that are tried, one after the other.
pub const MAX_PEER_ADDRESSES: usize = 4;
/// A handshake that is not complete by then ends, and so does a dial over all its addresses.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes per second and source (a /24 or /56): a peer's nodes all redialling at once.
pub const HANDSHAKES_PER_SOURCE: f64 = 10.0;
/// Sources whose handshakes are counted; 64 bytes each.
pub const MAX_HANDSHAKE_SOURCES: usize = 4096;
/// Handshakes under way above which sources prove their address first.
pub const RETRY_ABOVE_HANDSHAKES: usize = 32;
/// Handshakes under way, about 64 KiB each.
pub const MAX_PENDING_HANDSHAKES: usize = 256;
/// Bytes kept of a handshake that nobody has looked at yet …
pub const MAX_INCOMING_BYTES: u64 = 32 * 1024;
/// … and of all of them.
pub const MAX_INCOMING_BYTES_TOTAL: u64 = 4 * 1024 * 1024;
/// Bytes a peer may send on streams before its `hello`; ours has 300.
pub const WINDOW_BEFORE_HELLO: u32 = 64 * 1024;
/// Bytes a peer may send on one stream ahead of us: a frame and the next.
pub const STREAM_WINDOW: u32 = 512 * 1024;
/// Bytes a peer may send on all streams ahead of us: a roster of 200 KiB in 20 conferences at once.
pub const LINK_WINDOW: u32 = 4 * 1024 * 1024;
/// Bytes of frames that may wait for a slow peer; a link that holds more is closed.
pub const LINK_BACKLOG_BYTES: usize = 8 * 1024 * 1024;
/// Frames that may wait for a slow peer; a link that holds more is closed.
pub const LINK_BACKLOG_FRAMES: usize = 4096;
/// Frames for the link stream that may wait for the peer to open it: `hello`, `peer_status`, `goodbye`, and room.
pub const MAX_EARLY_FRAMES: usize = 8;
/// Frames on other streams that may overtake an acceptor's `hello`: one `attach`, before whose answer nothing follows, and room.
pub const MAX_FRAMES_BEFORE_HELLO: usize = 4;
/// Bytes of datagrams that may wait for the network: 100 ms at 40 Mbit/s. Older media is of no use.
pub const DATAGRAM_SEND_BUFFER: usize = 512 * 1024;
/// Bytes of datagrams that may wait for us: a burst of 50 ms at 160 Mbit/s.
pub const DATAGRAM_RECEIVE_BUFFER: usize = 1024 * 1024;

/// Links with one domain: eight nodes on its side, each with a link and its replacement.
pub const MAX_LINKS_PER_PEER: usize = 16;
/// Bytes of an RTP packet that is forwarded: an Ethernet frame; clients send at most 1200.
pub const MAX_RTP_BYTES: usize = 1500;
/// Bytes of an outgoing datagram to a client: MAX_RTP_BYTES, one CSRC, and the largest SRTP trailer.
pub const MAX_DATAGRAM_BYTES: usize = MAX_RTP_BYTES + 4 + 32;
/// Packets being put together from fragments, per link; each holds MAX_RTP_BYTES.
pub const MAX_REASSEMBLIES: usize = 64;
/// How long one half of a packet waits for the other: a receiver has asked for the packet again by then.
pub const REASSEMBLY_TIMEOUT: Duration = Duration::from_millis(500);

/// Commands that may wait for a media worker; when full, HTTP answers and links are told to wait or refused.
pub const MAILBOX: usize = 4096;
/// Datagrams that may wait between a worker and a link; when full, the oldest go and are counted.
pub const LINK_QUEUE: usize = 2048;

/// Kinds of line that the log takes at most once a minute: 256 peers with a reason or two each, 300 bytes.
pub const MAX_SELDOM: usize = 512;

/// HTTP connections at a time; held CONFCONNs are among them, and each may hold [`MAX_HTTP_HEADER_BYTES`].
pub const MAX_HTTP_CONNECTIONS: usize = 4096;
/// Bytes of a token's user name, and of its credential: clients keep 127, and a credential has 88.
pub const MAX_TOKEN_BYTES: usize = 127;
/// Bytes of the secret that tokens are checked with: what the incumbent reads of its file.
pub const MAX_SECRET_BYTES: usize = 255;
/// Clients' versions on the blacklist; each is looked at for every CONFCONN.
pub const MAX_BLACKLIST: usize = 256;
/// Header fields of an HTTP request; browsers send about 20.
pub const MAX_HTTP_HEADERS: usize = 64;
/// Bytes of an HTTP request's header (the smallest that hyper takes is 8 KiB).
pub const MAX_HTTP_HEADER_BYTES: usize = 16 * 1024;

const _: () = assert!(MAX_HALF_OPEN_PER_SOURCE < MAX_HALF_OPEN);
const _: () = assert!(MAX_HALF_OPEN_PER_CONFERENCE < MAX_HALF_OPEN);
const _: () = assert!(RETRY_ABOVE_HANDSHAKES < MAX_PENDING_HANDSHAKES);
const _: () = assert!(MAX_FRAME_BYTES <= STREAM_WINDOW as usize && STREAM_WINDOW < LINK_WINDOW);
const _: () = assert!(MAX_FRAME_BYTES < LINK_BACKLOG_BYTES);
const _: () = assert!(MAX_TEXT_BYTES <= MAX_BODY_BYTES);
