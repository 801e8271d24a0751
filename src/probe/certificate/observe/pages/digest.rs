//! What makes a page the same page when it is asked for again.

use crate::formats::x509::hex;
use crate::judge::clip;

/// A run of letters and digits of this length is taken for a token, a nonce or a checksum.
const TOKEN: usize = 16;

/// SHA-256 of a body without its digits (times, counters) and without what looks like a token.
pub(super) fn steady(body: &[u8]) -> String {
    let mut kept = Vec::with_capacity(body.len());
    for run in body.chunk_by(|a, b| in_token(*a) == in_token(*b)) {
        let token = run.len() >= TOKEN
            && run.first().is_some_and(|byte| in_token(*byte))
            && run.iter().any(u8::is_ascii_digit);
        if !token {
            kept.extend(run.iter().filter(|byte| !byte.is_ascii_digit()));
        }
    }
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &kept).as_ref())
}

const fn in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'_' | b'-' | b'=')
}

/// The text of the first `title` element, white space put together.
pub(super) fn title(body: &[u8]) -> Option<String> {
    let at = find(body, b"<title")?;
    let rest = body.get(at + b"<title".len()..)?;
    let rest = rest.get(rest.iter().position(|byte| *byte == b'>')? + 1..)?;
    let text = String::from_utf8_lossy(rest.get(..find(rest, b"</title")?)?);
    let words: Vec<&str> = text.split_whitespace().collect();
    (!words.is_empty()).then(|| clip(&words.join(" ")))
}

fn find(body: &[u8], lower_case: &[u8]) -> Option<usize> {
    body.windows(lower_case.len()).position(|window| window.eq_ignore_ascii_case(lower_case))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_asked_for_again_stays_the_same_page() {
        let page = |nonce: &str, time: &str| {
            format!("<script nonce=\"{nonce}\"></script><p>Served at {time}, welcome</p>").into_bytes()
        };
        let first = steady(&page("rAnd0mrAnd0mrAnd0m==", "10:01"));
        assert_eq!(first, steady(&page("0therNonce-123456789", "9:59")));
        assert_ne!(first, steady(b"<p>Down for maintenance</p>"));
        assert_ne!(steady(b"<p class=incomprehensibilities>"), steady(b"<p class=internationalisation>"));
    }

    #[test]
    fn titles_are_found_as_people_write_them() {
        for (page, wanted) in [
            ("<html><TITLE lang=de>\n Sign  in </Title>", Some("Sign in")),
            ("<title>a</title><title>b</title>", Some("a")),
            ("<title></title>", None),
            ("<title>cut", None),
            ("<title", None),
            ("{}", None),
        ] {
            assert_eq!(title(page.as_bytes()).as_deref(), wanted, "{page}");
        }
    }
}
