//! One file over HTTPS, without following anybody elsewhere.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};

use super::Look;
use super::ask::out_of_time;
use crate::formats::x509::hex;
use crate::judge::clip;
use crate::net::{ConnectTo, Family, HttpVersion, Request, Response, Via};
use crate::probe::mail::facts::{Answered, Fetched, Says};
use crate::probe::web::facts::{failure, our_side};

impl Look<'_> {
    /// Fetches `url`, at most `most` bytes of it. `read` says what the body says.
    pub(super) async fn fetch(&self, url: &url::Url, most: usize, read: fn(&[u8]) -> Says) -> Fetched {
        let Ok(_turn) = self.turns.acquire().await else { return Fetched::Unmeasured(out_of_time()) };
        let Some(timeout) = self.patience() else { return Fetched::Unmeasured(out_of_time()) };
        let request = Request {
            method: http::Method::GET,
            url: url.clone(),
            headers: http::HeaderMap::new(),
            body: Bytes::new(),
            timeout,
            max_body: most,
        };
        let port = self.spec.ports.https;
        let elsewhere = (port != 443).then(|| url.host_str().unwrap_or_default().to_owned());
        let via = Via {
            origin: self.answered(),
            resolvers: self.ctx.scope.resolvers.clone(),
            tls: self.ctx.scope.tls.clone(),
            family: Family::Any,
            connect_to: elsewhere.map(|host| ConnectTo::Host(host, port)),
            proxy: None,
            version: HttpVersion::Auto,
        };
        match self.ctx.net.exchange(&request, &via).await {
            Ok(response) => Fetched::Answer(answered(&response, read)),
            Err(error) => match our_side(&error) {
                Some(skipped) => Fetched::Unmeasured(skipped),
                None => Fetched::Failed(failure(&error)),
            },
        }
    }
}

fn answered(response: &Response, read: fn(&[u8]) -> Says) -> Answered {
    let header = |name| {
        let value = response.headers.get(name)?;
        Some(clip(&String::from_utf8_lossy(value.as_bytes())))
    };
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &response.body);
    let cut = response.truncated || response.body_error.is_some();
    let says = match (response.status, cut) {
        (200, false) => read(&response.body),
        (200, true) => Says::Unreadable(match &response.body_error {
            Some(error) => clip(&error.to_string()),
            None => "it is longer than what is read of it".to_owned(),
        }),
        (status, _) => Says::Unreadable(format!("the status is {status}")),
    };
    Answered {
        status: response.status,
        content_type: header(CONTENT_TYPE),
        location: header(LOCATION),
        bytes: response.body.len(),
        cut,
        sha256: hex(digest.as_ref()),
        says,
    }
}
