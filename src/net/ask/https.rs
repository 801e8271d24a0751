//! Over HTTPS (RFC 8484).

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::Sent;
use crate::formats::dns::Message;
use crate::model::{Phase, Timings};
use crate::net::error::{Fault, tidy};
use crate::net::http::Target;
use crate::net::{ConnectTo, Family, HttpVersion, Net, Request, Response, TlsOptions, Via};

const MESSAGE: HeaderValue = HeaderValue::from_static("application/dns-message");
/// The longest message there is.
const LONGEST: usize = 65_535;

impl Net {
    pub(super) async fn over_https(
        &self,
        sent: &Sent<'_>,
        url: &Url,
        tls: &Arc<TlsOptions>,
        timings: &mut Timings,
    ) -> Result<Message, Fault> {
        let target = Target::of(url)?;
        if url.scheme() != "https" {
            return Err(Fault::protocol(Phase::Tls, "DNS over HTTPS needs an `https` URL"));
        }
        let headers = HeaderMap::from_iter([(ACCEPT, MESSAGE), (CONTENT_TYPE, MESSAGE)]);
        let request = Request {
            method: Method::POST,
            url: url.clone(),
            headers,
            body: Bytes::from(sent.wire()),
            timeout: sent.asked.timeout,
            max_body: LONGEST,
        };
        let via = Via {
            origin: sent.asked.origin,
            resolvers: Arc::default(),
            tls: Arc::clone(tls),
            family: Family::Any,
            connect_to: Some(ConnectTo::Address(sent.asked.server)),
            proxy: None,
            version: HttpVersion::Auto,
        };
        let response = self.measure(&request, &via, &target, sent.deadline, timings).await?;
        read(sent, response).map_err(|fault| fault.at(sent.asked.server))
    }
}

fn read(sent: &Sent<'_>, response: Response) -> Result<Message, Fault> {
    let wrong = |why: String| Fault::protocol(Phase::Transfer, why);
    if response.status != 200 {
        return Err(wrong(format!("status {} instead of a DNS message", response.status)));
    }
    let kind = response.headers.get(CONTENT_TYPE).cloned().unwrap_or(HeaderValue::from_static(""));
    // What follows is parameters, of which the type has none.
    let essence = kind.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if !essence.eq_ignore_ascii_case(MESSAGE.as_bytes()) {
        let kind = tidy(&String::from_utf8_lossy(kind.as_bytes()));
        return Err(wrong(format!("content of type `{kind}` instead of `application/dns-message`")));
    }
    if let Some(error) = response.body_error {
        return Err(Fault::new(error.phase, error.reason).with_detail(error.detail));
    }
    if response.truncated {
        return Err(wrong("more than 64 KiB".into()));
    }
    sent.answer(&response.body).ok_or_else(|| wrong("the message does not answer the question".into()))
}
