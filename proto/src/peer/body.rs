//! Reading and writing the parts of a frame's body. Reading shares the body's buffer.

use bytes::Bytes;

use super::{FrameError, MAX_NAME, MAX_REASON};

/// What is left of a body.
pub(super) struct Body(Bytes);

// === impl Body ===

impl Body {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, len: usize) -> Result<Bytes, FrameError> {
        if len > self.0.len() {
            return Err(FrameError::Truncated);
        }
        Ok(self.0.split_to(len))
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], FrameError> {
        let bytes = self.take(N)?;
        <[u8; N]>::try_from(&bytes[..]).map_err(|_| FrameError::Truncated)
    }

    pub(super) fn u8(&mut self) -> Result<u8, FrameError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, FrameError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, FrameError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, FrameError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A name: one byte of length, then UTF-8.
    pub(super) fn name<T: for<'a> From<&'a str>>(&mut self) -> Result<T, FrameError> {
        let len = usize::from(self.u8()?);
        let bytes = self.take(len)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| FrameError::Invalid("name"))?;
        Ok(text.into())
    }

    /// A reason: two bytes of length, then text.
    pub(super) fn reason(&mut self) -> Result<String, FrameError> {
        let len = usize::from(self.u16()?);
        if len > MAX_REASON {
            return Err(FrameError::Invalid("reason"));
        }
        Ok(String::from_utf8_lossy(&self.take(len)?).into_owned())
    }

    pub(super) fn rest(self) -> Bytes {
        self.0
    }

    pub(super) fn end(self) -> Result<(), FrameError> {
        match self.0.len() {
            0 => Ok(()),
            more => Err(FrameError::Trailing(more)),
        }
    }
}

pub(super) fn put_name(out: &mut Vec<u8>, name: &str) {
    let name = cut(name, MAX_NAME);
    out.push(name.len() as u8);
    out.extend_from_slice(name.as_bytes());
}

pub(super) fn put_reason(out: &mut Vec<u8>, reason: &str) {
    let reason = cut(reason, MAX_REASON);
    out.extend_from_slice(&(reason.len() as u16).to_le_bytes());
    out.extend_from_slice(reason.as_bytes());
}

/// At most `max` bytes of `text`, in whole characters.
fn cut(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}
