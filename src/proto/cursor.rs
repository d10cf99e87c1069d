//! Reads and writes network bytes by position, without indexing: whatever is not there is `None`, never a panic.

/// Reads big-endian fields from the front of a slice.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    /// What was not read yet.
    #[must_use]
    pub const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// The next `count` bytes; `None`, and nothing is read, where fewer are left.
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Three bytes, in the low bits.
    pub fn u24(&mut self) -> Option<u32> {
        self.array::<3>().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }
}

/// Writes big-endian fields to the front of a buffer. Every method is `None` where the buffer ends; what was written before stays.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    // ≤ out.len()
    written: usize,
}

impl<'a> Writer<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(out: &'a mut [u8]) -> Writer<'a> {
        Writer { out, written: 0 }
    }

    /// Bytes written so far.
    #[must_use]
    pub const fn written(&self) -> usize {
        self.written
    }

    /// Appends bytes.
    pub fn bytes(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.written.checked_add(bytes.len())?;
        self.out.get_mut(self.written..end)?.copy_from_slice(bytes);
        self.written = end;
        Some(())
    }

    /// Appends one byte.
    pub fn u8(&mut self, value: u8) -> Option<()> {
        self.bytes(&[value])
    }

    /// Appends two bytes.
    pub fn u16(&mut self, value: u16) -> Option<()> {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends the low three bytes.
    pub fn u24(&mut self, value: u32) -> Option<()> {
        let [_, a, b, c] = value.to_be_bytes();
        self.bytes(&[a, b, c])
    }

    /// Appends four bytes.
    pub fn u32(&mut self, value: u32) -> Option<()> {
        self.bytes(&value.to_be_bytes())
    }

    /// Appends eight bytes.
    pub fn u64(&mut self, value: u64) -> Option<()> {
        self.bytes(&value.to_be_bytes())
    }

    /// Writes two bytes again, at a place that was written before.
    pub fn patch_u16(&mut self, at: usize, value: u16) -> Option<()> {
        let written = self.out.get_mut(..self.written)?;
        let place = written.get_mut(at..at.checked_add(2)?)?;
        place.copy_from_slice(&value.to_be_bytes());
        Some(())
    }

    /// Sets bits of a byte that was written before.
    pub fn set_bits(&mut self, at: usize, bits: u8) -> Option<()> {
        *self.out.get_mut(..self.written)?.get_mut(at)? |= bits;
        Some(())
    }

    /// Appends zeros until a multiple of four bytes was written.
    pub fn align(&mut self) -> Option<()> {
        while !self.written.is_multiple_of(4) {
            self.u8(0)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_was_written_and_nothing_more() {
        let mut out = [0xff; 20];
        let mut writer = Writer::new(&mut out);
        writer.u8(1).unwrap();
        writer.u16(0x0203).unwrap();
        writer.u24(0xff04_0506).unwrap();
        writer.align().unwrap();
        writer.u32(7).unwrap();
        writer.u64(8).unwrap();
        assert_eq!(writer.u8(9), None);
        writer.patch_u16(1, 0x0a0b).unwrap();
        assert_eq!(writer.patch_u16(19, 0), None);
        let mut reader = Reader::new(&out);
        assert_eq!(reader.u8(), Some(1));
        assert_eq!(reader.u16(), Some(0x0a0b));
        assert_eq!(reader.u24(), Some(0x04_0506));
        assert_eq!(reader.take(2), Some(&[0, 0][..]));
        assert_eq!(reader.u32(), Some(7));
        assert_eq!(reader.take(9), None);
        assert_eq!(reader.u64(), Some(8));
        assert_eq!(reader.u8(), None);
        assert!(reader.rest().is_empty());
    }
}
