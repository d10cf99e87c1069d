//! One HTTP/1.1 exchange a connection, by hand: the tests must not share a client library with the server they test.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Everything after the head.
    pub body: String,
}

/// Sends `GET path` to `base` (`http://host:port`).
pub async fn get(base: &str, path: &str) -> io::Result<Answer> {
    exchange(base, &format!("GET {path}"), "").await
}

/// Posts `body` as Wire's web client does, with the content type of a form.
pub async fn post(base: &str, path: &str, body: &str) -> io::Result<Answer> {
    exchange(base, &format!("POST {path}"), body).await
}

async fn exchange(base: &str, line: &str, body: &str) -> io::Result<Answer> {
    let host = base.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host).await?;
    let kind = "Content-Type: application/x-www-form-urlencoded";
    let length = body.len();
    let head =
        format!("{line} HTTP/1.1\r\nHost: {host}\r\n{kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    read(&String::from_utf8_lossy(&answer)).ok_or_else(|| io::Error::other("no HTTP answer"))
}

fn read(answer: &str) -> Option<Answer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { joined(body)? } else { body.to_owned() };
    Some(Answer { status, body })
}

/// Takes the chunk sizes out (RFC 9112 §7.1).
fn joined(mut chunks: &str) -> Option<String> {
    let mut body = String::new();
    loop {
        let (size, rest) = chunks.split_once("\r\n")?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.push_str(rest.get(..size)?);
        chunks = rest.get(size + 2..)?;
    }
}
