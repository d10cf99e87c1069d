//! What strangers send: noise on every port, shaped so that it gets past the first look.

use std::net::SocketAddr;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// First bytes that lead to every branch of RFC 7983 §7 and of QUIC's header, and to none.
const FIRST: [u8; 12] = [0, 1, 3, 20, 22, 23, 63, 64, 128, 144, 192, 255];
/// Lengths around every header, and a full datagram.
const LENGTHS: [usize; 10] = [0, 1, 2, 12, 13, 20, 28, 60, 1200, 1500];

/// Throws `count` datagrams at a UDP port from a few addresses; nothing is expected back.
pub async fn datagrams(target: SocketAddr, count: usize, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(UdpSocket::bind((target.ip(), 0)).await.unwrap());
    }
    for at in 0..count {
        let datagram = noise(&mut random, FIRST[at % FIRST.len()], LENGTHS[at % LENGTHS.len()]);
        sockets[at % sockets.len()].send_to(&datagram, target).await.unwrap();
        // A burst would only fill the kernel's queue.
        if at % 8 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

fn noise(random: &mut StdRng, first: u8, length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|_| random.random()).collect();
    if let Some(byte) = bytes.first_mut() {
        *byte = first;
    }
    // STUN's magic cookie and a length that fits, every other time.
    if first < 4 && length >= 20 && random.random() {
        let rest = u16::try_from(length - 20).unwrap().to_be_bytes();
        bytes[2..4].copy_from_slice(&rest);
        bytes[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
    }
    bytes
}

/// Requests that are none, and messages that break the protocol; the server may answer or close.
pub async fn requests(target: SocketAddr, count: usize, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    for at in 0..count {
        let request = request(&mut random, at);
        let Ok(mut stream) = TcpStream::connect(target).await else {
            continue;
        };
        // The server may close at any byte.
        drop(stream.write_all(&request).await);
        drop(stream.shutdown().await);
        drop(stream.read_to_end(&mut Vec::new()).await);
    }
}

fn request(random: &mut StdRng, at: usize) -> Vec<u8> {
    let bodies = [
        "{",
        "[]",
        "null",
        r#"{"version":"3.0","type":"CONFCONN","sessid":"x","src_userid":"u","src_clientid":"_","resp":false,"vstreams":-1}"#,
        r#"{"version":"3.0","type":"SETUP","sessid":"x","src_userid":"u","src_clientid":"_","resp":true,"sdp":"v=0","props":{}}"#,
        r#"{"version":"3.0","type":"HANGUP","sessid":"x","resp":false}"#,
    ];
    let body = bodies[at % bodies.len()];
    let post = |path: &str| {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
            .into_bytes()
    };
    match at % 4 {
        0 => noise(random, b'G', 200),
        1 => post("/sft/x"),
        2 => post(&format!("/sft/{}", "y".repeat(3000))),
        _ => b"GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n".to_vec(),
    }
}
