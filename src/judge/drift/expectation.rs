//! What a config declares about a set of values.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::judge::Pattern;

/// What a set should be.
#[derive(Clone, Debug)]
pub enum Expectation {
    /// Exactly these.
    Equals(Vec<String>),
    /// These among others.
    Contains(Vec<String>),
    /// One of these sets.
    AnyOf(Vec<Vec<String>>),
    /// Addresses within these networks, and at least one.
    SubsetOf(Vec<IpNet>),
    /// Names that are this one or below it, and at least one.
    Suffix(String),
    /// Each value matches, and there is one.
    Matches(Pattern),
    /// Nothing.
    Absent,
    /// Anything: it is looked at and never judged.
    Unmanaged,
    /// What was learned and approved; that is held against other things than this.
    Learned,
}

/// Why a set is not what was declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexpected {
    /// What is there and should not be.
    pub extra: Vec<String>,
    /// What should be there and is not.
    pub missing: Vec<String>,
    /// In words.
    pub why: String,
}

impl Expectation {
    /// Whether a set is judged by what is declared of it.
    pub const fn is_declared(&self) -> bool {
        !matches!(self, Self::Unmanaged | Self::Learned)
    }

    /// In lines for people, the values themselves where these are declared.
    pub fn lines(&self) -> Vec<String> {
        let words = |text: String| vec![text];
        match self {
            Self::Equals(values) => values.clone(),
            Self::Contains(values) => values.iter().map(|value| format!("{value} (among others)")).collect(),
            Self::AnyOf(sets) => sets.iter().map(|set| format!("one of: {}", set.join(", "))).collect(),
            Self::SubsetOf(networks) => networks.iter().map(|network| format!("within {network}")).collect(),
            Self::Suffix(suffix) => words(format!("{suffix} or below it")),
            Self::Matches(pattern) => words(format!("matching {}", pattern.as_str())),
            Self::Absent | Self::Unmanaged | Self::Learned => Vec::new(),
        }
    }

    /// What is wrong with a set; `None` if it is as declared.
    pub fn unexpected(&self, values: &[String]) -> Option<Unexpected> {
        match self {
            Self::Equals(wanted) => differs(values, wanted, true),
            Self::Contains(wanted) => differs(values, wanted, false),
            Self::AnyOf(sets) => {
                if sets.iter().any(|set| differs(values, set, true).is_none()) {
                    return None;
                }
                let why = "is none of the sets that are allowed".to_owned();
                Some(Unexpected { extra: values.to_vec(), missing: Vec::new(), why })
            }
            Self::SubsetOf(networks) => {
                let within = |value: &str| {
                    value
                        .parse::<IpAddr>()
                        .is_ok_and(|ip| networks.iter().any(|network| network.contains(&ip)))
                };
                each(values, "is outside the networks that are allowed", within)
            }
            Self::Suffix(suffix) => {
                each(values, &format!("does not end with {suffix}"), |value| ends_with(value, suffix))
            }
            Self::Matches(pattern) => {
                let why = format!("does not match {}", pattern.as_str());
                each(values, &why, |value| pattern.is_match(value))
            }
            Self::Absent if values.is_empty() => None,
            Self::Absent => {
                let why = "should not exist".to_owned();
                Some(Unexpected { extra: values.to_vec(), missing: Vec::new(), why })
            }
            Self::Unmanaged | Self::Learned => None,
        }
    }
}

fn differs(values: &[String], wanted: &[String], exactly: bool) -> Option<Unexpected> {
    let lacks = |all: &[String], one: &String| !all.contains(one);
    let missing: Vec<String> = wanted.iter().filter(|one| lacks(values, one)).cloned().collect();
    let extra: Vec<String> = values.iter().filter(|one| exactly && lacks(wanted, one)).cloned().collect();
    if missing.is_empty() && extra.is_empty() {
        return None;
    }
    let why = match (missing.is_empty(), extra.is_empty()) {
        (false, false) => "differs",
        (false, true) => "lacks values",
        (true, _) => "has values too many",
    };
    Some(Unexpected { extra, missing, why: why.to_owned() })
}

/// Each value fits, and there is one.
fn each(values: &[String], why: &str, fits: impl Fn(&str) -> bool) -> Option<Unexpected> {
    if values.is_empty() {
        let why = "does not exist".to_owned();
        return Some(Unexpected { extra: Vec::new(), missing: Vec::new(), why });
    }
    let extra: Vec<String> = values.iter().filter(|value| !fits(value)).cloned().collect();
    (!extra.is_empty()).then(|| Unexpected { extra, missing: Vec::new(), why: why.to_owned() })
}

/// At the border of a label. Of a value of several words (`10 mx.example.`) the last is the name.
fn ends_with(value: &str, suffix: &str) -> bool {
    let name = value.rsplit(' ').next().unwrap_or(value);
    name == suffix || name.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    fn holds(expectation: &Expectation, values: &[&str]) -> bool {
        expectation.unexpected(&set(values)).is_none()
    }

    #[test]
    fn a_set_is_compared_whole_and_the_difference_is_named() {
        let equals = Expectation::Equals(set(&["a", "b"]));
        assert!(holds(&equals, &["b", "a"]) && !holds(&equals, &["a"]) && !holds(&equals, &[]));
        let differs = equals.unexpected(&set(&["a", "c"])).unwrap();
        assert_eq!((differs.extra, differs.missing), (set(&["c"]), set(&["b"])));
        let contains = Expectation::Contains(set(&["a"]));
        assert!(holds(&contains, &["a", "x"]) && !holds(&contains, &["x"]));
        let any = Expectation::AnyOf(vec![set(&["a"]), set(&["b", "c"])]);
        assert!(holds(&any, &["c", "b"]) && !holds(&any, &["a", "b"]) && !holds(&any, &[]));
    }

    #[test]
    fn what_changes_all_the_time_is_held_to_its_networks_names_and_forms() {
        let networks =
            Expectation::SubsetOf(vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()]);
        assert!(holds(&networks, &["192.0.2.7", "2001:db8::9"]));
        assert!(!holds(&networks, &["192.0.2.7", "198.51.100.1"]) && !holds(&networks, &[]));
        let suffix = Expectation::Suffix("cdn.example.".into());
        assert!(holds(&suffix, &["a.cdn.example."]) && holds(&suffix, &["10 mx.cdn.example."]));
        assert!(holds(&suffix, &["cdn.example."]) && holds(&suffix, &["CNAME x.cdn.example."]));
        assert!(!holds(&suffix, &["evilcdn.example."]) && !holds(&suffix, &[]));
        let form = Expectation::Matches(Pattern::new("^\"v=spf1 .*-all\"$").unwrap());
        assert!(holds(&form, &["\"v=spf1 mx -all\""]) && !holds(&form, &["\"v=spf1 ?all\""]));
    }

    #[test]
    fn what_should_not_be_there_is_told_and_what_nobody_manages_is_not() {
        assert!(holds(&Expectation::Absent, &[]) && !holds(&Expectation::Absent, &["a"]));
        assert!(holds(&Expectation::Unmanaged, &["a"]) && holds(&Expectation::Unmanaged, &[]));
    }
}
