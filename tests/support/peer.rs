//! One client's transport: a webrtc-rs connection, its UDP socket, and the loop between them.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::data_channel::RTCDataChannelId;
use rtc::peer_connection::RTCPeerConnection;
use rtc::peer_connection::event::{RTCDataChannelEvent, RTCPeerConnectionEvent};
use rtc::peer_connection::message::{RTCMessage, TaggedRTCMessage};
use rtc::peer_connection::sdp::RTCSessionDescription;
use rtc::peer_connection::transport::{CandidateConfig, CandidateHostConfig, RTCIceCandidate};
use rtc::rtp::Packet;
use rtc::rtp_transceiver::RTCRtpSenderId;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;
use rtc::shared::{TaggedBytesMut, TransportContext, TransportProtocol};
use tokio::net::UdpSocket;

use super::engine;
use super::key_frames::asked_for;
use super::now;
use super::payload::Stream;

/// Something that happened on the transport.
#[derive(Debug)]
pub enum Happened {
    /// The SFT's data channel is open.
    Opened,
    /// A message came over it.
    Text(String),
    /// The channel or the transport ended.
    Closed,
    /// A media packet came.
    Media(Packet),
    /// Somebody wants a key frame of this SSRC.
    PictureLost(u32),
}

/// A connection that has answered an offer.
pub struct Peer {
    connection: RTCPeerConnection,
    socket: UdpSocket,
    local: SocketAddr,
    /// The socket was full.
    unsent: Option<TaggedBytesMut>,
    channel: Option<RTCDataChannelId>,
    audio: RTCRtpSenderId,
    video: RTCRtpSenderId,
    buffer: Vec<u8>,
}

/// A new connection, the SSRCs of its streams and its SDP answer.
pub struct Answered {
    /// The connection.
    pub peer: Peer,
    /// What it will send.
    pub ssrcs: Vec<(Stream, u32)>,
    /// For the SFT.
    pub sdp: String,
}

impl Peer {
    /// Answers `offer` from a socket on `address`.
    pub async fn answer(offer: &str, address: IpAddr, simulcast: bool) -> Result<Answered, Error> {
        let socket = UdpSocket::bind((address, 0)).await?;
        let local = socket.local_addr()?;
        let ssrcs = ssrcs(simulcast);
        let (audio, layers) = ssrcs.split_first().expect("audio is always there");
        let mut connection = engine::connection(now())?;
        let audio = connection.add_track(engine::audio_track(audio.1))?;
        let video = connection.add_track(engine::video_track(layers))?;
        connection.set_remote_description(now(), RTCSessionDescription::offer(understood(offer, simulcast))?)?;
        connection.add_local_candidate(candidate(local)?)?;
        let answer = connection.create_answer(None)?;
        connection.set_local_description(now(), answer)?;
        let sdp = connection.local_description().expect("it was just set").sdp;
        let peer = Peer {
            connection,
            socket,
            local,
            unsent: None,
            channel: None,
            audio,
            video,
            buffer: vec![0; 2000],
        };
        Ok(Answered { peer, ssrcs, sdp })
    }

    /// Runs the transport until something happened.
    pub async fn next(&mut self, happened: &mut Vec<Happened>) {
        loop {
            self.flush(happened);
            if !happened.is_empty() {
                break;
            }
            let deadline = self.connection.poll_timeout();
            let deadline = deadline.unwrap_or_else(|| now() + Duration::from_secs(1));
            tokio::select! {
                () = tokio::time::sleep_until(deadline.max(now()).into()) => {
                    // What fails here shows as a closed connection.
                    drop(self.connection.handle_timeout(now()));
                }
                received = self.socket.recv_from(&mut self.buffer) => self.receive(received),
                _ = self.socket.writable(), if self.unsent.is_some() => {}
            }
        }
    }

    fn receive(&mut self, received: io::Result<(usize, SocketAddr)>) {
        // ECONNREFUSED of an SFT that was killed comes here; the SFT may come back.
        let Ok((length, peer_addr)) = received else { return };
        let transport = TransportContext {
            local_addr: self.local,
            peer_addr,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let message = BytesMut::from(&self.buffer[..length]);
        drop(self.connection.handle_read(TaggedBytesMut {
            now: now(),
            transport,
            message,
        }));
    }

    /// Sends what waits and tells what happened.
    pub fn flush(&mut self, happened: &mut Vec<Happened>) {
        while let Some(datagram) = self.unsent.take().or_else(|| self.connection.poll_write()) {
            let sent = self.socket.try_send_to(&datagram.message, datagram.transport.peer_addr);
            // Other errors are of an SFT that was killed; it may come back.
            if sent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {
                self.unsent = Some(datagram);
                break;
            }
        }
        while let Some(event) = self.connection.poll_event() {
            happened.extend(self.event(event));
        }
        while let Some(TaggedRTCMessage { message, .. }) = self.connection.poll_read() {
            read(message, happened);
        }
    }

    fn event(&mut self, event: RTCPeerConnectionEvent) -> Option<Happened> {
        match event {
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnOpen(id)) => {
                self.channel = Some(id);
                Some(Happened::Opened)
            }
            RTCPeerConnectionEvent::OnDataChannel(RTCDataChannelEvent::OnClose(_)) => Some(Happened::Closed),
            _ => None,
        }
    }

    /// The label of the data channel, once it is open.
    pub fn label(&mut self) -> Option<String> {
        let channel = self.connection.data_channel(self.channel?)?;
        Some(channel.label().to_owned())
    }

    /// Sends a text over the data channel; lost while there is none.
    pub fn say(&mut self, text: String) {
        let channel = self.channel.and_then(|id| self.connection.data_channel(id));
        if let Some(mut channel) = channel {
            drop(channel.send_text(now(), text));
        }
    }

    /// Sends media packets of one kind.
    pub fn send(&mut self, kind: Kind, packets: Vec<Packet>) -> Result<(), Error> {
        let id = if kind == Kind::Audio { self.audio } else { self.video };
        let mut sender = self.connection.rtp_sender(id).ok_or(Error::ErrRTPSenderNotExisted)?;
        for packet in packets {
            sender.write_rtp(now(), packet)?;
        }
        Ok(())
    }

    /// Ends the transport as a closing page does.
    pub fn close(mut self) {
        drop(self.connection.close());
        self.flush(&mut Vec::new());
    }
}

/// Audio or video.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// The microphone.
    Audio,
    /// The camera.
    Video,
}

fn read(message: RTCMessage, happened: &mut Vec<Happened>) {
    match message {
        RTCMessage::RtpPacket(_, packet) => happened.push(Happened::Media(packet)),
        RTCMessage::RtcpPacket(_, packets) => {
            let asked = packets.iter().filter_map(|packet| asked_for(packet.as_ref()));
            happened.extend(asked.map(Happened::PictureLost));
        }
        RTCMessage::DataChannelMessage(_, message) => {
            happened.push(Happened::Text(String::from_utf8_lossy(&message.data).into_owned()));
        }
        _ => {}
    }
}

fn ssrcs(simulcast: bool) -> Vec<(Stream, u32)> {
    let layers: &[Stream] = if simulcast {
        &[Stream::Low, Stream::High]
    } else {
        &[Stream::High]
    };
    let streams = [Stream::Audio].into_iter().chain(layers.iter().copied());
    streams.map(|stream| (stream, rand::random())).collect()
}

/// What webrtc-rs understands of an offer. The SFT speaks of its data channel in the old form, for Wire's clients; webrtc-rs, like
/// Firefox, knows only the new one. And it answers layers where they are offered, even for a track that has none.
fn understood(offer: &str, simulcast: bool) -> String {
    let of_layers = |line: &str| line.starts_with("a=rid:") || line.starts_with("a=simulcast:");
    let lines = offer.lines().filter(|line| simulcast || !of_layers(line));
    let modern = lines.map(|line| match line {
        "m=application 9 DTLS/SCTP 5000" => "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "a=sctpmap:5000 webrtc-datachannel 16" => "a=sctp-port:5000",
        other => other,
    });
    modern.flat_map(|line| [line, "\r\n"]).collect()
}

fn candidate(local: SocketAddr) -> Result<rtc::peer_connection::transport::RTCIceCandidateInit, Error> {
    let base_config = CandidateConfig {
        network: "udp".to_owned(),
        address: local.ip().to_string(),
        port: local.port(),
        component: 1,
        ..Default::default()
    };
    let host = CandidateHostConfig {
        base_config,
        ..Default::default()
    };
    RTCIceCandidate::from(&host.new_candidate_host()?).to_json()
}

/// How many packets of which stream were sent.
pub type Counters = BTreeMap<Stream, u32>;

/// When something is next due; used for pacing only, never to wait for a result.
pub fn every(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval_at(Instant::into(now() + period), period);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    interval
}
