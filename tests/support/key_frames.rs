//! Lets the publisher hear that a receiver lost its picture: the library's chain swallows RTCP unless somebody vouches for it.

use std::collections::VecDeque;
use std::time::Instant;

use rtc::interceptor::{Attribute, Interceptor, Packet, StreamInfo, TaggedPacket};
use rtc::rtcp::payload_feedbacks::full_intra_request::FullIntraRequest;
use rtc::rtcp::payload_feedbacks::picture_loss_indication::PictureLossIndication;
use rtc::sansio::Protocol;
use rtc::shared::error::Error;

/// The last interceptor of the chain: passes PLI and FIR up, other RTCP ends here.
#[derive(Default)]
pub struct KeyFrameRequests {
    up: VecDeque<TaggedPacket>,
    down: VecDeque<TaggedPacket>,
}

/// The SSRC that a PLI or FIR asks for; `None` for other RTCP.
pub fn asked_for(packet: &dyn rtc::rtcp::Packet) -> Option<u32> {
    let packet = packet.as_any();
    let lost = packet.downcast_ref::<PictureLossIndication>().map(|pli| pli.media_ssrc);
    let refreshed = || Some(packet.downcast_ref::<FullIntraRequest>()?.fir.first()?.ssrc);
    lost.or_else(refreshed)
}

impl Protocol<TaggedPacket, TaggedPacket, ()> for KeyFrameRequests {
    type Rout = TaggedPacket;
    type Wout = TaggedPacket;
    type Eout = ();
    type Error = Error;
    type Time = Instant;

    fn handle_read(&mut self, mut tagged: TaggedPacket) -> Result<(), Error> {
        if let Packet::Rtcp(packets) = &mut tagged.message.packet {
            packets.retain(|packet| asked_for(packet.as_ref()).is_some());
            if packets.is_empty() {
                return Ok(());
            }
            tagged.message.add(Attribute::DeliverToApplication);
        }
        self.up.push_back(tagged);
        Ok(())
    }

    fn poll_read(&mut self) -> Option<TaggedPacket> {
        self.up.pop_front()
    }

    fn handle_write(&mut self, tagged: TaggedPacket) -> Result<(), Error> {
        self.down.push_back(tagged);
        Ok(())
    }

    fn poll_write(&mut self) -> Option<TaggedPacket> {
        self.down.pop_front()
    }
}

impl Interceptor for KeyFrameRequests {
    fn bind_local_stream(&mut self, _: &StreamInfo) {}
    fn unbind_local_stream(&mut self, _: &StreamInfo) {}
    fn bind_remote_stream(&mut self, _: &StreamInfo) {}
    fn unbind_remote_stream(&mut self, _: &StreamInfo) {}
}
