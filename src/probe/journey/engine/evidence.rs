//! What is kept of an answer that failed a step: for whoever looks into it, and for telling a refused
//! credential from a throttle or a broken form.

use http::header::RETRY_AFTER;

use super::Run;
use super::attempt::is_page;
use crate::judge::clip;
use crate::net::Response;
use crate::probe::journey::blocked::blocked;
use crate::probe::journey::facts::{BlockedAt, StepFacts};
use crate::probe::journey::html::{Document, looks_like_login};
use crate::probe::journey::spec::Evidence;
use crate::probe::journey::step::Step;
use crate::probe::web::mask;

/// The most header lines that evidence holds.
const MOST_HEADERS: usize = 32;

impl Run<'_> {
    /// Notes what helps whoever looks into a failed step.
    pub(super) fn evidence(&self, step: &Step, response: &Response, seen: &mut StepFacts) {
        let token = self.session.bearer().is_some();
        let credentials = token || step.shown().any();
        let mut headers = response.headers.clone();
        if let Some(wait) = self.retry_after.clone() {
            headers.entry(RETRY_AFTER).or_insert(wait);
        }
        let found = blocked(response.status, &headers, &response.body, credentials, self.now());
        seen.blocked = found.map(|found| BlockedAt::at(&seen.name, found));
        for (name, value) in response.headers.iter().take(MOST_HEADERS) {
            let shown = mask::header(name, &String::from_utf8_lossy(value.as_bytes()));
            seen.headers.entry(name.as_str().to_owned()).or_default().push(shown);
        }
        seen.asks_for_password = is_page(&response.headers) && looks_like_login(&response.body);
        seen.about_csrf = !seen.asks_for_password && is_about_csrf(response.status, &response.body);
        let before_sign_in = self.signing_in.is_some_and(|(first, _)| self.facts.steps.len() < first);
        let told = (before_sign_in && !token) || self.spec.evidence == Evidence::Body;
        // What was not read is marked, so that the beginning of a secret at the end is known as one.
        let cut = if response.truncated || response.body_error.is_some() { "…" } else { "" };
        let text = || format!("{}{cut}", String::from_utf8_lossy(&response.body).trim());
        seen.excerpt = told.then(|| clip(&text()));
    }
}

/// Whether a refusal is about the token against forged requests (Django and Rails say so in words,
/// Laravel by status 419), so that what the form holds was never looked at.
fn is_about_csrf(status: u16, body: &[u8]) -> bool {
    /// How much of a body is read.
    const READ: usize = 64 << 10;
    const WORDS: [&str; 5] =
        ["csrf", "xsrf", "authenticity token", "authenticitytoken", "cross-site request forgery"];
    if !matches!(status, 400 | 403 | 422) {
        return status == 419;
    }
    let head = String::from_utf8_lossy(body.get(..READ).unwrap_or(body));
    // The pages of many portals carry such a token where no reader sees it.
    let text = if head.trim_start().starts_with('<') {
        Document::new(&head, true).map(|page| page.visible_text()).unwrap_or_default()
    } else {
        head.into_owned()
    };
    let text = text.to_lowercase();
    WORDS.iter().any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_form_token_is_told_from_a_refused_password() {
        let django = b"<html><head><title>403 Forbidden</title></head><body><h1>Forbidden</h1><p>CSRF verification failed. Request aborted.</p>";
        for (status, body) in [
            (403, &django[..]),
            (422, b"ActionController::InvalidAuthenticityToken"),
            (419, b""),
            (400, b"{\"error\":\"CSRF token missing\"}"),
        ] {
            assert!(is_about_csrf(status, body), "{status}");
        }
        let page = b"<html><head><meta name=csrf-token content=abc></head><body>Wrong password";
        for (status, body) in [(403, &page[..]), (401, b"csrf"), (200, b"csrf"), (400, b"bad credentials")] {
            assert!(!is_about_csrf(status, body), "{status}");
        }
    }
}
