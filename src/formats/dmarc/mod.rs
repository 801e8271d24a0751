//! DMARC policy records (RFC 9989 section 4.7).

mod uri;

pub use self::uri::{ReportUri, mailbox, scheme};
use super::Fault;
use super::tag_list::{Tag, elements, parts};

/// What a domain asks receivers to do with mail that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// Nothing.
    None,
    /// Look at it with suspicion.
    Quarantine,
    /// Refuse it.
    Reject,
}

impl Policy {
    /// As in `p=`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    /// Reads the word; its case does not matter.
    pub fn read(word: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject]
            .into_iter()
            .find(|policy| word.eq_ignore_ascii_case(policy.as_str()))
    }

    /// One level less: what `t=y` makes of it (section 4.7).
    pub const fn lowered(self) -> Self {
        match self {
            Self::Reject => Self::Quarantine,
            Self::Quarantine | Self::None => Self::None,
        }
    }
}

/// How near an authenticated domain has to be (section 4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Alignment {
    /// The same organizational domain.
    #[default]
    Relaxed,
    /// The same domain.
    Strict,
}

/// Whether the domain is a public suffix (`psd=`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Psd {
    /// It is.
    Yes,
    /// It is not; it is an organizational domain.
    No,
    /// To be found out.
    #[default]
    Unknown,
}

/// What is worth a remark though no receiver minds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// A tag that RFC 9989 removed: `pct`, `rf`, `ri`.
    Removed(String),
    /// A tag that no standard knows.
    Unknown(String),
    /// There is no `p`.
    PolicyMissing,
    /// `p` does not follow `v`, which older receivers insist on.
    PolicyNotSecond,
    /// A limit of size behind an address, which means nothing any more.
    Size(&'static str),
    /// An address of a kind that nobody sends reports to.
    Scheme(&'static str),
    /// A `mailto:` that names no mailbox.
    Mailbox(&'static str),
    /// `fo=` asks for `0` and `1`, which contains it.
    FailureOptions,
}

/// A record as it is written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Record {
    /// `p`, where it can be read.
    pub policy: Option<Policy>,
    /// `sp`, where it can be read.
    pub subdomain_policy: Option<Policy>,
    /// `np`, where it can be read.
    pub nonexistent_policy: Option<Policy>,
    /// `adkim`.
    pub dkim: Alignment,
    /// `aspf`.
    pub spf: Alignment,
    /// `psd`.
    pub psd: Psd,
    /// `t=y`.
    pub testing: bool,
    /// `fo`: of `0`, `1`, `d`, `s`; empty is `0`.
    pub failure_options: Vec<char>,
    /// There is a `rua`, whether or not it can be read.
    pub asks_for_reports: bool,
    /// `rua`.
    pub aggregate_reports: Vec<ReportUri>,
    /// `ruf`.
    pub failure_reports: Vec<ReportUri>,
    /// What is against the grammar. Receivers pass over these parts and take the default, unless it
    /// is about a policy.
    pub faults: Vec<Fault>,
    /// What is worth a remark.
    pub remarks: Vec<Remark>,
    broken: Broken,
}

/// What of a record is beyond use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
enum Broken {
    #[default]
    Nothing,
    /// One of the policies cannot be read.
    Policy,
    /// A tag stands there twice, which makes the whole list invalid (RFC 6376 section 3.2).
    All,
}

/// The policies that receivers apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policies {
    /// For the domain of the record.
    pub domain: Policy,
    /// For names below it that exist.
    pub subdomain: Policy,
    /// For names below it that do not.
    pub nonexistent: Policy,
}

/// Whether a TXT record is one of DMARC (section 4.10): its first tag is `v`, and exactly `DMARC1`.
pub fn is_dmarc(text: &str) -> bool {
    let first = elements(text).next().and_then(|element| element.tag().ok());
    let version = first.filter(|tag| tag.at == 0 && tag.name.eq_ignore_ascii_case("v"));
    version.is_some_and(|tag| tag.value == "DMARC1")
}

impl Record {
    /// Reads a record; `None` if it is none of DMARC. What is wrong with it stands in its faults.
    pub fn parse(text: &str) -> Option<Self> {
        if !is_dmarc(text) {
            return None;
        }
        let mut record = Self::default();
        let mut names: Vec<String> = Vec::new();
        for element in elements(text).skip(1) {
            match element.tag() {
                Ok(tag) => record.tag(tag, &mut names),
                Err(fault) => record.faults.push(fault),
            }
        }
        let has = |name: &str| names.iter().any(|known| known == name);
        if !has("p") {
            record.remarks.push(Remark::PolicyMissing);
        } else if names.first().is_some_and(|first| first != "p") {
            record.remarks.push(Remark::PolicyNotSecond);
        }
        record.asks_for_reports = has("rua");
        Some(record)
    }

    fn tag(&mut self, tag: Tag<'_>, names: &mut Vec<String>) {
        let name = tag.name.to_ascii_lowercase();
        if name == "v" || names.contains(&name) {
            self.faults.push(Fault::new(tag.at, format!("{name} stands there twice")));
            self.broken = Broken::All;
            return;
        }
        if let Err(fault) = self.value(&name, tag) {
            if matches!(name.as_str(), "p" | "sp" | "np") && self.broken == Broken::Nothing {
                self.broken = Broken::Policy;
            }
            self.faults.push(fault);
        }
        names.push(name);
    }

    fn value(&mut self, name: &str, tag: Tag<'_>) -> Result<(), Fault> {
        let bad = |what: &str| Fault::new(tag.value_at, format!("{name}={} is not {what}", tag.value));
        if tag.value.is_empty() {
            return Err(Fault::new(tag.value_at, format!("{name} has no value")));
        }
        if let Some(at) =
            tag.value.bytes().position(|byte| byte != b' ' && byte != b'\t' && !byte.is_ascii_graphic())
        {
            return Err(Fault::new(tag.value_at + at, format!("the value of {name} may hold ASCII alone")));
        }
        let policy = || Policy::read(tag.value).map(Some).ok_or_else(|| bad("none, quarantine or reject"));
        let letter = tag.value.to_ascii_lowercase();
        let alignment = || match letter.as_str() {
            "r" => Ok(Alignment::Relaxed),
            "s" => Ok(Alignment::Strict),
            _ => Err(bad("r or s")),
        };
        match name {
            "p" => self.policy = policy()?,
            "sp" => self.subdomain_policy = policy()?,
            "np" => self.nonexistent_policy = policy()?,
            "adkim" => self.dkim = alignment()?,
            "aspf" => self.spf = alignment()?,
            "psd" => {
                self.psd = match letter.as_str() {
                    "y" => Psd::Yes,
                    "n" => Psd::No,
                    "u" => Psd::Unknown,
                    _ => return Err(bad("y, n or u")),
                }
            }
            "t" => {
                self.testing = match letter.as_str() {
                    "y" => true,
                    "n" => false,
                    _ => return Err(bad("y or n")),
                }
            }
            "fo" => self.failure_options(tag, &bad)?,
            "rua" => self.aggregate_reports = self.reports("rua", tag)?,
            "ruf" => self.failure_reports = self.reports("ruf", tag)?,
            "pct" | "rf" | "ri" => self.remarks.push(Remark::Removed(name.to_owned())),
            _ => self.remarks.push(Remark::Unknown(name.to_owned())),
        }
        Ok(())
    }

    fn failure_options(&mut self, tag: Tag<'_>, bad: &dyn Fn(&str) -> Fault) -> Result<(), Fault> {
        let option = |(_, word): (usize, &str)| match word.to_ascii_lowercase().as_str() {
            "0" => Some('0'),
            "1" => Some('1'),
            "d" => Some('d'),
            "s" => Some('s'),
            _ => None,
        };
        let all: Option<Vec<char>> = parts(tag.value_at, tag.value, ':').map(option).collect();
        let all = all.ok_or_else(|| bad("made of 0, 1, d and s with colons between"))?;
        if all.contains(&'0') && all.contains(&'1') {
            self.remarks.push(Remark::FailureOptions);
        }
        self.failure_options = all;
        Ok(())
    }

    /// The addresses that can be read; a fault for each that cannot.
    fn reports(&mut self, name: &'static str, tag: Tag<'_>) -> Result<Vec<ReportUri>, Fault> {
        let mut uris = Vec::new();
        let mut first = None;
        for (at, text) in parts(tag.value_at, tag.value, ',') {
            match ReportUri::parse(at, text) {
                Ok(uri) => {
                    self.remarks.extend(uri.size.as_ref().map(|_| Remark::Size(name)));
                    match uri.scheme.as_str() {
                        "mailto" if uri.mailbox.is_none() => self.remarks.push(Remark::Mailbox(name)),
                        "mailto" => {}
                        _ => self.remarks.push(Remark::Scheme(name)),
                    }
                    uris.push(uri);
                }
                Err(fault) => {
                    let fault = Fault::new(fault.at, format!("{name}: {}", fault.why));
                    match &first {
                        None => first = Some(fault),
                        Some(_) => self.faults.push(fault),
                    }
                }
            }
        }
        match first {
            Some(fault) if uris.is_empty() => return Err(fault),
            Some(fault) => self.faults.push(fault),
            None => {}
        }
        Ok(uris)
    }

    /// What receivers apply (section 4.10.1): nothing if no policy can be read and nobody is to get
    /// reports; `none` if only reports are asked for.
    pub fn applied(&self) -> Option<Policies> {
        let reported = self.aggregate_reports.iter().any(|uri| uri.mailbox.is_some());
        match (self.broken, self.policy) {
            (Broken::All, _) => None,
            (Broken::Nothing, Some(domain)) => {
                let subdomain = self.subdomain_policy.unwrap_or(domain);
                let nonexistent = self.nonexistent_policy.unwrap_or(subdomain);
                Some(Policies { domain, subdomain, nonexistent })
            }
            _ => reported.then_some(Policies {
                domain: Policy::None,
                subdomain: Policy::None,
                nonexistent: Policy::None,
            }),
        }
    }
}

#[cfg(test)]
mod tests;
