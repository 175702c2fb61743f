//! The one message of a unary call, out and in.

use super::MAX_RESPONSE;
use super::compress::Packer;
use super::error::SendError;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The five bytes before the message, then the message, which is not copied.
#[derive(Clone)]
pub(super) struct UnaryBody {
    parts: [Option<Bytes>; 2],
}

/// A response's message and trailers.
#[derive(Debug, Default)]
pub(super) struct ResponseBody {
    pub message: Bytes,
    pub trailers: HeaderMap,
}

const FRAME_HEADER: usize = 5;

// === impl UnaryBody ===

impl UnaryBody {
    pub fn new(packer: Packer, message: Bytes) -> Result<Self, SendError> {
        let packed = packer.pack(&message).map_err(|e| SendError::not_sendable(&e))?;
        let compressed = u8::from(packed.is_some());
        let message = packed.map_or(message, Bytes::from);
        let len = u32::try_from(message.len()).map_err(|e| SendError::not_sendable(&e))?;
        let [a, b, c, d] = len.to_be_bytes();
        let header = Bytes::copy_from_slice(&[compressed, a, b, c, d]);
        Ok(Self { parts: [Some(header), Some(message).filter(|m| !m.is_empty())] })
    }
}

impl Body for UnaryBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.parts.iter_mut().find_map(Option::take);
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.parts.iter().all(Option::is_none)
    }
}

// === impl ResponseBody ===

impl ResponseBody {
    pub async fn read(mut body: tonic::body::Body) -> Result<Self, SendError> {
        let mut read = Self::default();
        let mut data = BytesMut::new();
        while let Some(frame) = body.frame().await {
            match frame.map_err(|e| SendError::unreachable(&e))?.into_data() {
                Ok(piece) if data.len() + piece.len() <= MAX_RESPONSE => {
                    data.extend_from_slice(&piece);
                }
                Ok(_) => return Err(SendError::bad_response("response too large")),
                Err(frame) => read.trailers = frame.into_trailers().unwrap_or_default(),
            }
        }
        // An error has no message. We did not say that we take compressed ones.
        if data.len() >= FRAME_HEADER {
            read.message = data.split_off(FRAME_HEADER).freeze();
        }
        Ok(read)
    }
}
