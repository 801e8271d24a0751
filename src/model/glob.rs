//! Globs over the names of checks.

use super::CheckId;

/// Whether a glob names a check: `portal/check`, where `*` and `?` do not cross the slash; without a
/// slash the check's short name.
pub fn matches(glob: &str, id: &CheckId) -> bool {
    match glob.split_once('/') {
        Some((portal, check)) => wildcard(portal, id.portal()) && wildcard(check, id.name()),
        None => wildcard(glob, id.name()),
    }
}

/// `*` matches any run of characters, `?` any one.
fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        if at < pattern.len() && (pattern[at] == '?' || pattern[at] == text[from]) && pattern[at] != '*' {
            (at, from) = (at + 1, from + 1);
        } else if pattern.get(at) == Some(&'*') {
            star = Some((at, from));
            at += 1;
        } else if let Some((star_at, taken)) = star {
            star = Some((star_at, taken + 1));
            (at, from) = (star_at + 1, taken + 1);
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_does_not_cross_the_slash() {
        let id = CheckId::new("acme", "health-api");
        for (glob, expected) in [
            ("acme/health-api", true),
            ("acme/*", true),
            ("*/health-*", true),
            ("health-*", true),
            ("health-?pi", true),
            ("*", true),
            ("acme*", false),
            ("acme/health", false),
            ("other/*", false),
            ("*api*x", false),
        ] {
            assert_eq!(matches(glob, &id), expected, "{glob}");
        }
    }
}
