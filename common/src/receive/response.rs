//! Response bodies: a piece of data, perhaps one more later, and a set of trailers.

use super::stats::Gauge;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// A response body; keeps the request's place among those in flight until the response is written.
/// Not its permit: a client may leave the response where it is for as long as it likes.
#[derive(Default)]
pub(super) struct ReplyBody {
    data: Option<Bytes>,
    later: Option<(BoxFuture<'static, ()>, Bytes)>,
    trailers: Option<HeaderMap>,
    held: Option<Gauge>,
}

// === impl ReplyBody ===

impl ReplyBody {
    pub fn new(data: impl Into<Bytes>, trailers: Option<HeaderMap>) -> Self {
        let data = Some(data.into()).filter(|d: &Bytes| !d.is_empty());
        Self { data, later: None, trailers, held: None }
    }

    /// More data when a moment has come.
    pub fn and_later(mut self, when: BoxFuture<'static, ()>, data: Bytes) -> Self {
        self.later = Some((when, data));
        self
    }

    /// Bytes of the data that is there now.
    pub fn data_len(&self) -> u64 {
        self.data.as_ref().map_or(0, |data| data.len() as u64)
    }

    pub fn hold(&mut self, in_flight: Gauge) {
        self.held = Some(in_flight);
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(data) = self.data.take() {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if let Some((when, data)) = &mut self.later {
            ready!(when.as_mut().poll(cx));
            let data = std::mem::take(data);
            self.later = None;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_none() && self.later.is_none() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match (&self.data, &self.trailers) {
            // A gRPC response has no content-length.
            (_, Some(_)) => SizeHint::default(),
            (data, None) => SizeHint::with_exact(data.as_ref().map_or(0, |d| d.len() as u64)),
        }
    }
}
