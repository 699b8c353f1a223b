//! A body of an answer that can break off.
//! In: bytes, and whether the connection is to break behind them. Out: frames. Never: what the bytes mean.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::Closed;

pub(super) struct ReplyBody {
    data: Option<Bytes>,
    /// The length that the head promises; `None` sends chunks.
    length: Option<u64>,
    end: End,
}

#[derive(Clone, Copy)]
enum End {
    Clean,
    /// The head and the first part are to be written out first.
    Pause,
    Cut,
}

impl ReplyBody {
    pub(super) fn new(data: Bytes, length: Option<u64>, cut: bool) -> Self {
        Self { data: Some(data), length, end: if cut { End::Pause } else { End::Clean } }
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Closed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Closed>>> {
        if let Some(data) = self.data.take().filter(|data| !data.is_empty()) {
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.end {
            End::Clean => Poll::Ready(None),
            End::Pause => {
                self.end = End::Cut;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            End::Cut => Poll::Ready(Some(Err(Closed))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.end, End::Clean)
            && self.length.is_some()
            && self.data.as_ref().is_none_or(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
