use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::*;

const PASSWORD: &str = "pw 7&\"<é>+%/x\\n";

fn masker(values: &[&str]) -> Masker {
    let secrets: Vec<Secret> = values.iter().map(|value| Secret::new(*value, "env:P")).collect();
    Masker::new(&secrets)
}

fn percent(text: &str, write: impl Fn(u8) -> String) -> String {
    text.bytes().map(write).collect()
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

/// One way to write a text.
type Writer = fn(&str) -> String;

const WRITERS: [(&str, Writer); 14] = [
    ("raw", str::to_owned),
    ("percent", |text| percent(text, |byte| format!("%{byte:02X}"))),
    ("percent in small letters", |text| percent(text, |byte| format!("%{byte:02x}"))),
    ("percent where needed", |text| form(text).replace('+', "%20")),
    ("percent in mixed case", |text| form(text).replace("%2F", "%2f").replace('+', "%20")),
    ("form", form),
    ("json", json),
    ("json, all escaped", |text| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()),
    ("rust", |text| text.escape_default().to_string()),
    ("html", html),
    ("html in numbers", |text| text.chars().map(|char| format!("&#{};", u32::from(char))).collect()),
    ("html in hex", |text| text.chars().map(|char| format!("&#x{:x};", u32::from(char))).collect()),
    ("base64", |text| STANDARD.encode(text)),
    ("base64url", |text| URL_SAFE_NO_PAD.encode(text)),
];

fn form(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[test]
fn a_secret_is_found_in_every_encoding_and_in_two_of_them_in_each_other() {
    let masker = masker(&[PASSWORD]);
    for (inner_name, inner) in WRITERS {
        for (outer_name, outer) in WRITERS {
            for (before, after) in [("", ""), ("q=", "&b=1"), ("<i>", "</i>"), ("a,", ",a")] {
                let written = outer(&format!("{before}{}{after}", inner(PASSWORD)));
                let masked = masker.mask(&written);
                assert!(masked.contains("<env:P>"), "{inner_name} in {outer_name}: {written}");
                assert!(masked.len() < 100, "{inner_name} in {outer_name}: {masked}");
            }
        }
    }
    for other in ["pw 7&\"<e>+%/x", "cHcgNyY", "", "…", "%", "\\", "&", "&#", "%u12", "\\u{", "%…"] {
        assert!(matches!(masker.mask(other), Cow::Borrowed(_)), "{other}");
    }
}

#[test]
fn what_stands_around_a_secret_stays() {
    let masker = masker(&["hunter2-hunter2", "tok&en"]);
    assert_eq!(
        masker.mask("https://h/a/hunter2%2Dhunter2/b?x=1&t=tok%26en#hunter2-hunter2"),
        "https://h/a/<env:P>/b?x=1&t=<env:P>#<env:P>"
    );
    assert_eq!(masker.mask("überhunter2-hunter2é \\u00e9 &lt;"), "über<env:P>é \\u00e9 &lt;");
}

#[test]
fn a_password_inside_basic_credentials_is_found_whatever_the_user_is_called() {
    let masker = masker(&["hunter2+hunter2"]);
    for user in ["a", "ab", "abc", "abcd"] {
        for after in ["", "!", "!!"] {
            let encoded = STANDARD.encode(format!("{user}:hunter2+hunter2{after}"));
            let masked = masker.mask(&encoded);
            assert!(masked.contains("<env:P>"), "{user} {after}: {masked}");
        }
    }
    assert_eq!(masker.mask("hunter3+hunter3"), "hunter3+hunter3");
}

#[test]
fn where_a_text_was_cut_no_beginning_of_a_secret_remains() {
    let masker = masker(&[PASSWORD, "correct-horse-battery"]);
    for (name, write) in WRITERS {
        for secret in [PASSWORD, "correct-horse-battery"] {
            let written = write(secret);
            for (end, _) in written.char_indices().skip(1) {
                // In the midst of a text too: what was cut is put into sentences.
                let said = format!("a {}…\" (b)", &written[..end]);
                let masked = masker.mask(&said);
                let whole =
                    |length: usize| secret.char_indices().nth(length).map(|(at, _)| write(&secret[..at]));
                // Four bytes are known as a beginning, plus what base64 needs to hold them.
                if whole(6).is_some_and(|beginning| end >= beginning.trim_end_matches('=').len()) {
                    assert!(masked.starts_with("a <env:P>"), "{name}: {said} {masked}");
                    assert!(masked.ends_with("…\" (b)"), "{name}: {said} {masked}");
                }
            }
        }
    }
    assert_eq!(masker.mask("correct-h and more"), "correct-h and more");
    assert_eq!(masker.mask("core…"), "core…");
}

#[test]
fn a_value_that_is_split_where_texts_are_cut_is_found_in_parts() {
    let masker = masker(&["first-part#second;part-no-3?part-no-4"]);
    for (said, masked) in [
        ("/a?x=first-part", "/a?x=<env:P>"),
        ("sid=***; part-no-3?***", "sid=***; <env:P>?***"),
        ("second", "second"),
    ] {
        assert_eq!(masker.mask(said), masked);
    }
}

#[test]
fn letters_of_either_case_count_for_long_values_only() {
    let masker = masker(&["SeCrEtToken", "PosT"]);
    assert_eq!(masker.mask("https://secrettoken.evil.example/post"), "https://<env:P>.evil.example/post");
    assert_eq!(masker.mask("PosT"), "<env:P>");
}

#[test]
fn a_name_that_a_server_chose_gives_no_other_secret_away() {
    let secrets =
        [Secret::new("t0ken-of-a-session", "cookie a"), Secret::new("x1x2x3", "cookie t0ken-of-a-session")];
    assert_eq!(Masker::new(&secrets).mask("x1x2x3"), NAMELESS);
}

#[test]
fn what_is_shorter_than_four_bytes_is_left_alone() {
    assert!(masker(&["abc", ""]).is_empty());
}

#[test]
fn a_latin_1_page_does_not_give_away_what_stands_around_its_letters() {
    let masker = masker(&["gehe1m-é-gehe1m"]);
    assert_eq!(masker.mask("gehe1m-%E9-gehe1m"), "<env:P>");
    assert_eq!(masker.mask("gehe1m-\u{fffd}-gehe1m"), "<env:P>");
}
