//! Which values that a page gives unasked are made by a machine, as tokens are.
//!
//! A form gives its hidden fields along with what was asked for: tokens, but also `login`, `2` and the
//! address of the page itself. Without those words no address and no message could be read.

use url::Url;

use crate::probe::journey::session::decode_uri_component;

/// Words are shorter than most tokens.
const LONGEST_WORD: usize = 12;
/// Words in capitals, such as `DELETE`, are told from codes by being short.
const LONGEST_CAPITALS: usize = 8;
/// One-time codes have at least six digits.
const LONGEST_NUMBER: usize = 5;
/// Several numbers, as in a date, may have so many digits in all.
const MOST_DIGITS: usize = 8;
/// No word has more consonants in a row.
const MOST_CONSONANTS: usize = 5;

/// The parts of the value that look made by a machine; for an address of the page's own site its parts
/// are looked at one by one.
pub(super) fn made(value: &str, page: &Url) -> Vec<String> {
    let address = looks_like_address(value).then(|| page.join(value).ok()).flatten();
    match address.filter(|address| address.origin() == page.origin()) {
        Some(address) => of_address(&address),
        None if is_ordinary(value) => Vec::new(),
        None => vec![value.to_owned()],
    }
}

/// The parts of an address that look made by a machine.
pub(super) fn of_address(address: &Url) -> Vec<String> {
    let decoded = |part: &str| decode_uri_component(part).unwrap_or_else(|| part.to_owned());
    let segments = address.path_segments().into_iter().flatten().map(decoded);
    let query = address.query_pairs().map(|(_, value)| value.into_owned());
    // A query need not be of names and values: `?TOKEN`.
    let names = address.query_pairs().map(|(name, _)| name.into_owned());
    let rest = address.fragment().into_iter().map(decoded);
    let rest = rest.chain(address.password().map(decoded));
    segments.chain(query).chain(names).chain(rest).filter(|part| !is_ordinary(part)).collect()
}

/// Whether it is written as an absolute address or as a path from the root.
fn looks_like_address(value: &str) -> bool {
    value.starts_with("http://") || value.starts_with("https://") || value.starts_with('/')
}

/// Whether the value is made of words and short numbers: `@action`, `en_US`, `issue1`, `2024-05-01`.
fn is_ordinary(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    digits <= MOST_DIGITS && value.split(|char: char| !char.is_alphanumeric()).all(is_word_or_number)
}

fn is_word_or_number(part: &str) -> bool {
    let word = part.trim_end_matches(|char: char| char.is_ascii_digit());
    part.len() - word.len() <= LONGEST_NUMBER && (word.is_empty() || is_word(word))
}

fn is_word(word: &str) -> bool {
    let small = |char: char| char.is_alphabetic() && !char.is_uppercase();
    let length = word.chars().count();
    let rest_small = word.chars().skip(1).all(small) && word.chars().all(char::is_alphabetic);
    let capitals = word.bytes().all(|byte| byte.is_ascii_uppercase());
    (rest_small && length <= LONGEST_WORD || capitals && length <= LONGEST_CAPITALS) && is_speakable(word)
}

fn is_speakable(word: &str) -> bool {
    let vowel = |char: char| !char.is_ascii() || "aeiouyAEIOUY".contains(char);
    word.split(vowel).all(|consonants| consonants.len() <= MOST_CONSONANTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Url {
        Url::parse("http://portal.example:8080/issue1?page=2").unwrap()
    }

    #[test]
    fn what_a_person_could_have_written_is_not_masked_out_of_every_text() {
        let ordinary = [
            "login",
            "@action",
            "Sign in",
            "PATCH",
            "DELETE",
            "en_US",
            "UTF-8",
            "✓",
            "true",
            "2024",
            "issue1",
            "2024-05-01",
            "Europe/Berlin",
            "text/html",
            "http://portal.example:8080/issue1",
            "http://portal.example:8080/issue1?@template=item&page=2",
            "/tracker/issue12?ok=1#top",
            "Ünïcode",
            "",
        ];
        for value in ordinary {
            assert_eq!(made(value, &page()), Vec::<String>::new(), "{value}");
        }
    }

    #[test]
    fn what_a_machine_made_is_a_secret() {
        let tokens = [
            "d41d8cd98f00b204e9800998ecf8427e",
            "123e4567-e89b-12d3-a456-426614174000",
            "t0k-of-the-form",
            "Csrf-t0ken&<58979>",
            "kqjxhzvbwmpl",
            "abcdefghijklmnopqrstuvwxyz",
            "dGhpcyBpcyBh",
            "JBSWYDPEHPKPXPAA",
            "492817",
            "123-456-789",
            "https://elsewhere.example/8f14e45fceea167a",
        ];
        for token in tokens {
            assert_eq!(made(token, &page()), [token], "{token}");
        }
    }

    #[test]
    fn a_token_inside_an_address_of_the_page_is_a_secret_and_the_address_is_not() {
        let next =
            "http://portal.example:8080/reset/8f14e45fceea167a/now?action=login&t=9b%2B74Xc1#c4ca4238a0b9";
        assert_eq!(made(next, &page()), ["8f14e45fceea167a", "9b+74Xc1", "c4ca4238a0b9"]);
        assert_eq!(made("/reset/8f14e45fceea167a", &page()), ["8f14e45fceea167a"]);
    }
}
