//! Response bodies: read as they come, decoded as they come, cut off at the limit, so that an
//! endless body or a compression bomb costs bounded memory.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{
    BrotliDecoder, DeflateDecoder, GzipDecoder, ZlibDecoder, ZstdDecoder,
};
use async_compression::zstd::DParameter;
use bytes::{Buf as _, Bytes};
use http::HeaderMap;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use hyper::body::{Body as _, Incoming};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncRead, BufReader, ReadBuf};

/// The codings we can undo, as offered to servers.
pub(super) const OFFERED: &str = "gzip, br, deflate, zstd";
/// No honest server stacks more codings than this.
const STACKED: usize = 4;
/// RFC 9659 section 3: a zstd window on the web is at most 8 MiB.
const ZSTD_WINDOW_LOG: u32 = 23;

/// One content coding (RFC 9110 section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Brotli,
    Deflate,
    Zstd,
}

impl Coding {
    fn parse(name: &str) -> Option<Self> {
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") || name.eq_ignore_ascii_case("x-gzip") => {
                Some(Self::Gzip)
            }
            name if name.eq_ignore_ascii_case("br") => Some(Self::Brotli),
            name if name.eq_ignore_ascii_case("deflate") => Some(Self::Deflate),
            name if name.eq_ignore_ascii_case("zstd") => Some(Self::Zstd),
            _ => None,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Deflate => "deflate",
            Self::Zstd => "zstd",
        }
    }
}

/// What to undo, in the order in which it was applied. Nothing, if there is a coding we do not know
/// or did not ask for: such a body is handed over as it came.
pub(super) fn codings(sent: &HeaderMap, received: &HeaderMap) -> Vec<Coding> {
    let mut codings = Vec::new();
    for value in received.get_all(CONTENT_ENCODING) {
        let Ok(value) = value.to_str() else { return Vec::new() };
        for name in value.split(',').filter(|name| !name.trim().eq_ignore_ascii_case("identity")) {
            match Coding::parse(name) {
                Some(coding) if asked_for(sent, coding) => codings.push(coding),
                _ => return Vec::new(),
            }
        }
    }
    if codings.len() > STACKED { Vec::new() } else { codings }
}

fn asked_for(sent: &HeaderMap, coding: Coding) -> bool {
    sent.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').any(|item| {
            let name = item.split(';').next().unwrap_or_default().trim();
            name == "*" || name.eq_ignore_ascii_case(coding.name())
        })
    })
}

/// The body as it comes off the wire, counted.
pub(super) struct Wire {
    body: Incoming,
    chunk: Bytes,
    pub(super) bytes: u64,
}

impl Wire {
    pub(super) fn new(body: Incoming) -> Self {
        Self { body, chunk: Bytes::new(), bytes: 0 }
    }

    /// Reads until the end or one byte past `max`; says whether there was more than `max`. What was
    /// read before an error is in `into`.
    pub(super) async fn read(
        &mut self,
        codings: &[Coding],
        max: usize,
        into: &mut Vec<u8>,
    ) -> io::Result<bool> {
        if codings.is_empty() || self.fill_buf().await?.is_empty() {
            return copy(self, max, into).await;
        }
        let mut reader: Box<dyn AsyncBufRead + Send + Unpin + '_> = Box::new(self);
        for coding in codings.iter().rev() {
            reader = decoder(reader, *coding).await?;
        }
        copy(&mut reader, max, into).await
    }
}

async fn copy<R: AsyncBufRead + Unpin>(reader: &mut R, max: usize, into: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let data = reader.fill_buf().await?;
        if data.is_empty() {
            return Ok(false);
        }
        let room = max - into.len();
        let (kept, rest) = data.split_at(room.min(data.len()));
        into.extend_from_slice(kept);
        if !rest.is_empty() {
            return Ok(true);
        }
        let used = kept.len();
        reader.consume(used);
    }
}

type Reader<'a> = Box<dyn AsyncBufRead + Send + Unpin + 'a>;

async fn decoder(mut inner: Reader<'_>, coding: Coding) -> io::Result<Reader<'_>> {
    Ok(match coding {
        Coding::Gzip => {
            let mut gzip = GzipDecoder::new(inner);
            // RFC 1952 section 2.2: a file is a series of members.
            gzip.multiple_members(true);
            Box::new(BufReader::new(gzip))
        }
        Coding::Brotli => Box::new(BufReader::new(BrotliDecoder::new(inner))),
        Coding::Zstd => {
            let limits = [DParameter::window_log_max(ZSTD_WINDOW_LOG)];
            Box::new(BufReader::new(ZstdDecoder::with_params(inner, &limits)))
        }
        // RFC 9110 section 8.4.1.2: the zlib format, but some servers send bare deflate.
        Coding::Deflate if is_zlib(inner.fill_buf().await?) => {
            Box::new(BufReader::new(ZlibDecoder::new(inner)))
        }
        Coding::Deflate => Box::new(BufReader::new(DeflateDecoder::new(inner))),
    })
}

/// RFC 1950 section 2.2: method 8, and the first two bytes are a multiple of 31.
fn is_zlib(start: &[u8]) -> bool {
    match start {
        [first, second, ..] => first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0,
        [first] => *first & 0x0f == 8,
        [] => true,
    }
}

impl AsyncBufRead for Wire {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        while this.chunk.is_empty() {
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                None => break,
                Some(Err(error)) => return Poll::Ready(Err(io::Error::other(error))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        this.bytes += data.len() as u64;
                        this.chunk = data;
                    }
                }
            }
        }
        Poll::Ready(Ok(&this.chunk))
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        self.get_mut().chunk.advance(amount);
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let data = ready!(self.as_mut().poll_fill_buf(cx))?;
        let count = data.len().min(buf.remaining());
        buf.put_slice(&data[..count]);
        self.consume(count);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: http::header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, http::HeaderValue::from_static(value))])
    }

    #[test]
    fn only_codings_that_were_asked_for_are_undone() {
        let asked = headers(ACCEPT_ENCODING, OFFERED);
        let plain = headers(ACCEPT_ENCODING, "identity");
        let gzip = headers(CONTENT_ENCODING, "gzip");
        assert_eq!(codings(&asked, &gzip), [Coding::Gzip]);
        assert_eq!(codings(&plain, &gzip), []);
        assert_eq!(codings(&asked, &headers(CONTENT_ENCODING, "br, zstd")), [Coding::Brotli, Coding::Zstd]);
        assert_eq!(codings(&asked, &headers(CONTENT_ENCODING, "gzip, aes128gcm")), []);
        assert_eq!(codings(&asked, &headers(CONTENT_ENCODING, "gzip,gzip,gzip,gzip,gzip")), []);
        assert_eq!(codings(&asked, &headers(CONTENT_ENCODING, "identity")), []);
    }

    #[test]
    fn bare_deflate_is_told_from_zlib() {
        assert!(is_zlib(&[0x78, 0x9c]));
        assert!(is_zlib(&[0x78, 0x01]));
        assert!(!is_zlib(&[0x4b, 0x4c]));
    }
}
