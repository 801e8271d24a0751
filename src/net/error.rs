//! From the errors of sockets, TLS and HTTP to typed reasons: by kind and number, not by text.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use rustix::io::Errno;

use super::{FailReason, TransportError, tls};
use crate::model::{Phase, Timings};

/// A failure before it is joined with the times measured so far.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) phase: Phase,
    pub(super) reason: FailReason,
    pub(super) address: Option<SocketAddr>,
    pub(super) detail: String,
}

impl Fault {
    pub(super) fn new(phase: Phase, reason: FailReason) -> Self {
        Self { phase, reason, address: None, detail: String::new() }
    }

    /// A peer that breaks the protocol; `why` stands in the reason.
    pub(super) fn protocol(phase: Phase, why: impl Into<String>) -> Self {
        Self::new(phase, FailReason::Protocol(why.into()))
    }

    /// Any error of the libraries below, judged by what is at its root.
    pub(super) fn from_error(phase: Phase, error: &(dyn Error + 'static)) -> Self {
        let reason = classify(error);
        // In TLS 1.3 the server judges our certificate after the handshake is over for us
        // (RFC 8446 section 4.4.2.4); its verdict arrives with the first read.
        let phase = match reason {
            FailReason::TlsAlert(_) | FailReason::Certificate(_) => Phase::Tls,
            _ => phase,
        };
        let detail = match reason {
            FailReason::Protocol(_) | FailReason::Certificate(_) | FailReason::TlsAlert(_) => String::new(),
            _ => one_line(error),
        };
        Self { phase, reason, address: None, detail }
    }

    pub(super) fn at(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    pub(super) fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// Puts `who` before the detail: whose failure it was, where it is not the target's.
    pub(super) fn of(mut self, who: &str) -> Self {
        self.detail = if self.detail.is_empty() { who.to_owned() } else { format!("{who}: {}", self.detail) };
        self
    }

    pub(super) fn into_error(self, timings: Timings) -> TransportError {
        let Self { phase, reason, address, detail } = self;
        TransportError { phase, reason, address, detail, timings }
    }
}

/// The error and its sources on one line, bounded: a peer's text may be in it.
pub(super) fn one_line(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let words = source.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = source.source();
    }
    tidy(&text)
}

/// One line of at most 300 characters, control characters replaced.
pub(super) fn tidy(text: &str) -> String {
    text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn classify(error: &(dyn Error + 'static)) -> FailReason {
    let mut verdict = None;
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return tls::explain(tls);
        }
        if let Some(io) = current.downcast_ref::<io::Error>() {
            // `source()` of such an error skips the error it carries.
            return match io.get_ref() {
                Some(inner) => match carried(inner) {
                    Some(reason) => reason,
                    None => from_kind(io),
                },
                None => from_kind(io),
            };
        }
        if let Some(hyper) = current.downcast_ref::<hyper::Error>() {
            verdict = verdict.or_else(|| from_hyper(hyper));
        }
        next = current.source();
    }
    verdict.unwrap_or_else(|| FailReason::Protocol(one_line(error)))
}

fn carried(inner: &(dyn Error + Send + Sync + 'static)) -> Option<FailReason> {
    let known = inner.is::<rustls::Error>() || inner.is::<hyper::Error>() || inner.is::<io::Error>();
    known.then(|| classify(inner))
}

fn from_hyper(error: &hyper::Error) -> Option<FailReason> {
    if error.is_parse_too_large() {
        return Some(FailReason::Protocol("the response head is too large".into()));
    }
    if error.is_parse() {
        return Some(FailReason::Protocol(one_line(error)));
    }
    let closed = error.is_incomplete_message() || error.is_closed() || error.is_canceled();
    closed.then_some(FailReason::Closed)
}

/// The reason behind an error of the operating system.
pub(super) fn from_kind(error: &io::Error) -> FailReason {
    if let Some(code) = error.raw_os_error() {
        match Errno::from_raw_os_error(code) {
            Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM | Errno::ADDRNOTAVAIL => {
                return FailReason::Exhausted;
            }
            // Our own packet filter and a kernel without the family say no before a packet leaves.
            Errno::NETUNREACH | Errno::NETDOWN | Errno::AFNOSUPPORT | Errno::PERM | Errno::ACCESS => {
                return FailReason::NoRoute;
            }
            _ => {}
        }
    }
    match error.kind() {
        ErrorKind::ConnectionRefused => FailReason::Refused,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted => FailReason::Reset,
        ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe | ErrorKind::NotConnected => FailReason::Closed,
        ErrorKind::TimedOut => FailReason::Timeout,
        ErrorKind::HostUnreachable => FailReason::Unreachable,
        ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => FailReason::NoRoute,
        ErrorKind::OutOfMemory | ErrorKind::AddrNotAvailable => FailReason::Exhausted,
        _ => FailReason::Protocol(one_line(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_of_descriptors_is_not_the_targets_fault() {
        for code in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL] {
            let error = io::Error::from_raw_os_error(code.raw_os_error());
            assert_eq!(classify(&error), FailReason::Exhausted, "{error}");
        }
    }

    #[test]
    fn each_error_of_the_system_has_its_reason() {
        for (code, reason) in [
            (Errno::CONNREFUSED, FailReason::Refused),
            (Errno::CONNRESET, FailReason::Reset),
            (Errno::PIPE, FailReason::Closed),
            (Errno::TIMEDOUT, FailReason::Timeout),
            (Errno::HOSTUNREACH, FailReason::Unreachable),
            (Errno::NETUNREACH, FailReason::NoRoute),
            (Errno::AFNOSUPPORT, FailReason::NoRoute),
            (Errno::PERM, FailReason::NoRoute),
        ] {
            assert_eq!(classify(&io::Error::from_raw_os_error(code.raw_os_error())), reason, "{code}");
        }
    }

    #[test]
    fn an_error_inside_an_error_is_found() {
        let alert = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
        let error = io::Error::other(io::Error::new(ErrorKind::InvalidData, alert));
        let fault = Fault::from_error(Phase::Ttfb, &error);
        assert_eq!(fault.reason, FailReason::TlsAlert("certificate_required".into()));
        assert_eq!(fault.phase, Phase::Tls);
    }

    #[test]
    fn a_peers_text_cannot_break_a_line_or_flood_a_message() {
        assert_eq!(tidy("a\r\nb"), "a  b");
        assert_eq!(tidy(&"x".repeat(1000)).len(), 300);
    }
}
