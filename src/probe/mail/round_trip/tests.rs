use super::message::{Hop, read};
use super::signatures::{SignatureResult, keys, verify};

/// The example of RFC 8463, appendix A.3, with its two signatures.
const SIGNED: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
d=football.example.com; i=@football.example.com;\r\n \
q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
subject : date : message-id : from : subject : date;\r\n \
bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n \
Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n\
From: Joe SixPack <joe@football.example.com>\r\n\
To: Suzie Q <suzie@shopping.example.net>\r\n\
Subject: Is dinner ready?\r\n\
Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
\r\n\
Hi.\r\n\
\r\n\
We lost the game.  Are you hungry yet?\r\n\
\r\n\
Joe.\r\n";
const KEY: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fn results(raw: &str, published: &dyn Fn(&str) -> Result<Vec<String>, String>) -> Vec<SignatureResult> {
    verify(raw.as_bytes(), published).into_iter().map(|signature| signature.result).collect()
}

#[test]
fn a_signature_holds_as_long_as_the_message_and_the_key_are_the_same() {
    use SignatureResult::{Fail, Pass, PermError, TempError};
    assert_eq!(keys(SIGNED.as_bytes()), ["brisbane._domainkey.football.example.com"]);
    let published = |texts: &'static [&'static str]| {
        move |name: &str| {
            assert_eq!(name, "brisbane._domainkey.football.example.com");
            Ok(texts.iter().map(|text| (*text).to_owned()).collect::<Vec<String>>())
        }
    };
    assert_eq!(results(SIGNED, &published(&[KEY])), [Pass]);
    assert_eq!(results(&SIGNED.replace("We lost", "We won"), &published(&[KEY])), [Fail]);
    assert_eq!(results(&SIGNED.replace("Is dinner", "Was dinner"), &published(&[KEY])), [Fail]);
    assert_eq!(results(SIGNED, &|_| Err("timed out".to_owned())), [TempError]);
    for texts in [
        &[][..],
        &["v=DKIM1; k=ed25519; p="],
        &[KEY, KEY],
        &["v=DKIM1; k=ed25519; s=tlsrpt; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="],
        &[
            "v=DKIM1; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBANmBe10IgY+u7h3enWTukkqtUD5PR52Tb/mPfjC0QJTocVBq6Za/PlzfV+Py92VaCak19F4WrbVTK5Gg5tW220MCAwEAAQ==",
        ],
    ] {
        assert_eq!(results(SIGNED, &published(texts)), [PermError], "{texts:?}");
    }
    assert_eq!(verify(b"no message", &|_| Ok(Vec::new())), []);
}

#[test]
fn a_message_is_read_as_its_receiver_does() {
    let raw = "Return-Path: <bounce@acme.example>\r\n\
Received: from mail.monitor.example by store.monitor.example with LMTP id x; Wed, 25 Nov 2026 10:00:02 +0000\r\n\
Received: from out.acme.example (helo.acme.example [192.0.2.25]) by mail.monitor.example with ESMTPS id y; Wed, 25 Nov 2026 10:00:01 +0000\r\n\
Received: from app ([10.0.0.1]) by out.acme.example with ESMTP id z; Wed, 25 Nov 2026 10:00:00 +0000\r\n\
From: Acme <no-reply@Portal.Acme.example>\r\n\
Subject: =?utf-8?q?Reset_your_password?=\r\n\
List-Unsubscribe: <mailto:a@acme.example>, <https://portal.acme.example/u/1>\r\n\
List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\
MIME-Version: 1.0\r\n\
Content-Type: multipart/alternative; boundary=b\r\n\r\n\
--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGo to https://por=\r\ntal.acme.example/reset?x=3D1.\r\n\
--b\r\nContent-Type: text/html\r\n\r\n<a href=\"https://Tracker.example/c?u=1\">here</a>\r\n--b--\r\n";
    let message = read(raw.as_bytes()).unwrap();
    assert_eq!(message.subject, "Reset your password");
    assert_eq!(message.from, ["portal.acme.example"]);
    assert_eq!(message.return_path.as_deref(), Some("bounce@acme.example"));
    let hop = message.hop.unwrap();
    assert_eq!(hop.ip.to_string(), "192.0.2.25");
    assert_eq!(Vec::from_iter(&message.links), ["portal.acme.example", "tracker.example"]);
    assert!(message.one_click);

    let bare = read(b"Subject: x\r\n\r\nhello").unwrap();
    assert_eq!((bare.hop, bare.one_click), (None::<Hop>, false));
    assert!(bare.links.is_empty() && bare.from.is_empty() && bare.return_path.is_none());
}

#[test]
fn the_canaries_of_a_check_are_not_taken_for_those_of_another() {
    let at = jiff::Timestamp::UNIX_EPOCH;
    let [one, other] = ["mail", "mail-2"].map(|name| crate::model::CheckId::new("acme", name));
    assert!(super::subject(&one, at).contains(&super::own_subjects(&one)));
    assert!(!super::subject(&other, at).contains(&super::own_subjects(&one)));
}
