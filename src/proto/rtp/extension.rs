//! The elements of an RTP header extension, in one-byte and two-byte form (RFC 8285 §4), and the ids that our offers fix.

use crate::proto::cursor::Reader;

/// Audio level (RFC 6464).
pub const AUDIO_LEVEL: u8 = 1;
/// Time of sending, hop-by-hop; we take none and remove it.
pub const SEND_TIME: u8 = 2;
/// Transport-wide sequence number (draft-holmer-rmcat-transport-wide-cc-extensions-01 §2), hop-by-hop.
pub const TRANSPORT_SEQUENCE: u8 = 3;
/// RID of the layer (RFC 8852 §3.1), hop-by-hop.
pub const RID: u8 = 4;
/// RID of the layer that a retransmission repairs (RFC 8852 §3.2), hop-by-hop.
pub const REPAIRED_RID: u8 = 5;
/// Dependency descriptor (AV1 RTP specification, appendix A), end to end.
pub const DEPENDENCY_DESCRIPTOR: u8 = 6;
/// Generic frame descriptor, version 00, end to end.
pub const FRAME_DESCRIPTOR: u8 = 11;

/// Is this extension forwarded? The others are hop-by-hop.
#[must_use]
pub const fn is_end_to_end(id: u8) -> bool {
    matches!(id, AUDIO_LEVEL | DEPENDENCY_DESCRIPTOR | FRAME_DESCRIPTOR)
}

/// How the elements of a header extension are written (RFC 8285 §4.1.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Profile 0xBEDE: four bits of id, four of length minus one.
    OneByte,
    /// Profile 0x1000 to 0x100F: a byte of id, a byte of length.
    TwoByte,
    /// No profile that we know: there are no elements.
    Foreign,
}

impl Form {
    /// The form that a profile stands for.
    #[must_use]
    pub const fn of(profile: u16) -> Form {
        match profile {
            0xbede => Form::OneByte,
            0x1000..=0x100f => Form::TwoByte,
            _ => Form::Foreign,
        }
    }
}

/// One element of a header extension.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Element<'a> {
    /// 1 to 14 in one-byte form, 1 to 255 in two-byte form.
    pub id: u8,
    /// What it says.
    pub value: &'a [u8],
    /// Its own header and `value`, as they stand in the packet.
    pub bytes: &'a [u8],
}

/// The elements of a header extension. A broken one ends it: what was before still counts (RFC 8285 §4.1.2: ignore what is odd).
#[derive(Clone, Copy, Debug)]
pub struct Elements<'a> {
    form: Form,
    rest: Reader<'a>,
}

impl<'a> Elements<'a> {
    /// The elements in `block`, which is a header extension without profile and length.
    #[must_use]
    pub const fn new(form: Form, block: &'a [u8]) -> Elements<'a> {
        Elements {
            form,
            rest: Reader::new(block),
        }
    }

    fn element(&mut self) -> Option<Element<'a>> {
        let whole = self.rest.rest();
        let first = self.rest.u8()?;
        let (id, length) = match self.form {
            Form::OneByte => (first >> 4, usize::from(first & 0x0f) + 1),
            Form::TwoByte => (first, usize::from(self.rest.u8()?)),
            Form::Foreign => return None,
        };
        // Id 15 of the one-byte form ends it (RFC 8285 §4.2).
        if self.form == Form::OneByte && id == 15 {
            return None;
        }
        let value = self.rest.take(length)?;
        let bytes = whole.get(..whole.len() - self.rest.rest().len())?;
        Some(Element { id, value, bytes })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        while self.rest.rest().first() == Some(&0) {
            self.rest.u8();
        }
        let element = self.element();
        if element.is_none() {
            self.rest = Reader::new(&[]);
        }
        element
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids_and_values(form: Form, block: &[u8]) -> Vec<(u8, Vec<u8>)> {
        Elements::new(form, block)
            .map(|element| (element.id, element.value.to_vec()))
            .collect()
    }

    #[test]
    fn elements_are_found_in_both_forms() {
        let found = ids_and_values(Form::OneByte, &[0x10, 0xaa, 0, 0, 0xb1, 1, 2, 0]);
        assert_eq!(found, [(1, vec![0xaa]), (11, vec![1, 2])]);
        let found = ids_and_values(Form::TwoByte, &[1, 1, 0xaa, 0, 20, 0, 11, 2, 1, 2]);
        assert_eq!(found, [(1, vec![0xaa]), (20, vec![]), (11, vec![1, 2])]);
        assert_eq!(ids_and_values(Form::Foreign, &[0x10, 0xaa, 0, 0]), []);
    }

    #[test]
    fn a_broken_element_ends_the_extension_but_not_what_came_before() {
        for (form, block) in [
            (Form::OneByte, &[0x10, 0xaa, 0xbf, 1, 2][..]),
            (Form::OneByte, &[0x10, 0xaa, 0xf0, 0x40, b'l']),
            (Form::OneByte, &[0x10, 0xaa, 0x40]),
            (Form::TwoByte, &[1, 1, 0xaa, 4]),
            (Form::TwoByte, &[1, 1, 0xaa, 4, 2, b'l']),
        ] {
            assert_eq!(ids_and_values(form, block), [(1, vec![0xaa])], "{block:?}");
        }
    }

    #[test]
    fn an_element_knows_its_own_bytes() {
        let block = [0, 0xb1, 1, 2, 0x10, 3];
        let bytes: Vec<_> = Elements::new(Form::OneByte, &block).map(|e| e.bytes).collect();
        assert_eq!(bytes, [&[0xb1, 1, 2][..], &[0x10, 3]]);
    }
}
