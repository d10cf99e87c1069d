//! What two SFTs say to each other: frames of JSON on streams, media in datagrams. `docs/link-protocol.md` specifies it.

pub mod datagram;
pub mod frame;
pub mod message;
