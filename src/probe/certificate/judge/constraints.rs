//! Name constraints (RFC 5280 section 4.2.1.10).

use super::docs;
use super::fault::Fault;
use super::path::Path;
use crate::formats::x509::extensions::NameConstraints;
use crate::formats::x509::name::EMAIL;
use crate::formats::x509::{Certificate, GeneralName};

/// More comparisons than this are refused: two lists of thousands make a client work for seconds.
/// The bound of the common libraries.
const COMPARISONS: usize = 250_000;

/// Names of the path that lie where an authority above them may not issue.
pub fn violated(path: &Path<'_>) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut left = COMPARISONS;
    let certificates = &path.certificates;
    let of_path = certificates.iter().enumerate().filter_map(|(position, authority)| {
        Some((position, authority.extensions.name_constraints.as_ref()?))
    });
    let root = path.anchor.and_then(|anchor| anchor.constraints.as_ref());
    let root = root.map(|constraints| (certificates.len(), constraints));
    for (authority, constraints) in of_path.chain(root) {
        for (position, certificate) in certificates.iter().enumerate().take(authority) {
            if position > 0 && certificate.self_issued {
                continue;
            }
            let names = names(certificate);
            let parts = names.len() + certificate.subject.relative.len();
            let comparisons =
                (constraints.permitted.len() + constraints.excluded.len()).saturating_mul(parts);
            let Some(after) = left.checked_sub(comparisons) else {
                let summary = "there are too many names and name constraints to compare";
                faults.push(Fault::strict(&docs::NAME_CONSTRAINTS, position, summary));
                return faults;
            };
            left = after;
            if let Some(why) = names.iter().find_map(|name| outside(name, constraints)) {
                faults.push(Fault::strict(&docs::NAME_CONSTRAINTS, position, why));
            }
        }
    }
    faults
}

/// All names of a certificate that constraints speak of.
fn names(certificate: &Certificate) -> Vec<GeneralName> {
    let mut names = certificate.sans().to_vec();
    if !certificate.subject.is_empty() {
        names.push(GeneralName::Directory(certificate.subject.clone()));
    }
    if !names.iter().any(|name| matches!(name, GeneralName::Email(_))) {
        names.extend(certificate.subject.values(EMAIL).map(GeneralName::email));
    }
    names
}

/// Why a name may not be issued.
fn outside(name: &GeneralName, constraints: &NameConstraints) -> Option<String> {
    for excluded in &constraints.excluded {
        match within(name, excluded, Side::Excluded) {
            Some(false) => {}
            Some(true) => {
                return Some(format!(
                    "an authority above it may not issue for {excluded}, and it is for {name}"
                ));
            }
            None => {
                return Some(format!("whether an authority above it may issue for {name} cannot be told"));
            }
        }
    }
    let mut permitted = constraints.permitted.iter().filter(|base| same_form(name, base)).peekable();
    permitted.peek()?;
    let fits = permitted.any(|base| within(name, base, Side::Permitted) == Some(true));
    (!fits).then(|| format!("an authority above it may not issue for {name}"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Permitted,
    Excluded,
}

fn same_form(name: &GeneralName, base: &GeneralName) -> bool {
    use GeneralName::{BadIp, Directory, Dns, Email, Ip, Network, Other, Uri};
    match (name, base) {
        (Dns(_), Dns(_)) | (Email(_), Email(_)) | (Uri(_), Uri(_)) | (Directory(_), Directory(_)) => true,
        (Ip(_) | BadIp(_), Network(_) | BadIp(_)) => true,
        (Other(own), Other(other)) => own == other,
        _ => false,
    }
}

/// Whether a name lies within a subtree; `None` where that cannot be told, `Some(false)` for another
/// form.
fn within(name: &GeneralName, base: &GeneralName, side: Side) -> Option<bool> {
    use GeneralName::{Directory, Dns, Email, Ip, Network, Uri};
    if !same_form(name, base) {
        return Some(false);
    }
    match (name, base) {
        (Dns(name), Dns(base)) => Some(host_within(name.plain()?, base.plain()?, side)),
        (Email(name), Email(base)) => mailbox_within(name.plain()?, base.plain()?),
        (Uri(name), Uri(base)) => uri_within(name.plain()?, base.plain()?),
        (Ip(address), Network(network)) => Some(network.contains(*address)),
        (Directory(name), Directory(base)) => Some(name.is_within(base)),
        _ => None,
    }
}

fn ends_below(host: &str, base: &str) -> bool {
    let (host, base) = (host.as_bytes(), base.as_bytes());
    let split = host.len().checked_sub(base.len()).and_then(|at| host.split_at_checked(at));
    split.is_some_and(|(front, end)| {
        end.eq_ignore_ascii_case(base) && (front.is_empty() || front.ends_with(b"."))
    })
}

/// A wildcard stands for many names. All of them must be permitted; none may be excluded, so it is
/// excluded already by one that it covers.
fn host_within(name: &str, base: &str, side: Side) -> bool {
    if base.is_empty() {
        return true;
    }
    if let Some(base) = base.strip_prefix('.') {
        return ends_below(name, base) && name.len() > base.len();
    }
    let Some(stem) = name.strip_prefix("*.") else {
        return ends_below(name, base);
    };
    let covered = || base.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(stem));
    ends_below(stem, base) || (side == Side::Excluded && covered())
}

fn mailbox_within(name: &str, base: &str) -> Option<bool> {
    let (local, host) = name.rsplit_once('@')?;
    Some(match (base.rsplit_once('@'), base.strip_prefix('.')) {
        (Some((other, wanted)), _) => local == other && host.eq_ignore_ascii_case(wanted),
        (None, Some(below)) => ends_below(host, below) && host.len() > below.len(),
        (None, None) => base.is_empty() || host.eq_ignore_ascii_case(base),
    })
}

/// A URI without a host name is not covered by any constraint and must be refused.
fn uri_within(name: &str, base: &str) -> Option<bool> {
    let url = url::Url::parse(name).ok()?;
    // Schemes that the URL standard does not know have opaque hosts.
    let host = match url.host()? {
        url::Host::Domain(host) if host.parse::<std::net::IpAddr>().is_err() => host,
        _ => return None,
    };
    Some(match base.strip_prefix('.') {
        Some(below) => ends_below(host, below) && host.len() > below.len(),
        None => base.is_empty() || host.eq_ignore_ascii_case(base),
    })
}

/// What is wrong with the constraints themselves.
pub fn malformed(constraints: &NameConstraints) -> Option<String> {
    let all = constraints.permitted.iter().chain(&constraints.excluded);
    all.filter_map(|base| Some((base, wrong(base)?))).map(|(base, why)| format!("{base}: {why}")).next()
}

fn wrong(base: &GeneralName) -> Option<&'static str> {
    match base {
        GeneralName::BadIp(_) => Some("an address constraint has an address and a mask of its family"),
        GeneralName::Network(network) if !network.is_prefix() => Some("the mask has holes"),
        GeneralName::Dns(text) => match text.plain() {
            None => Some("it is no ASCII"),
            Some(text) if text.starts_with('.') => Some("a host constraint does not begin with a dot"),
            Some(text) if text.contains('*') => Some("a host constraint has no wildcard"),
            Some(text) if text.chars().any(|c| c.is_whitespace() || c == '/' || c == '@') => {
                Some("it is no host name")
            }
            Some(_) => None,
        },
        GeneralName::Email(text) => match text.plain() {
            None => Some("it is no ASCII"),
            Some(text) if text.matches('@').count() > 1 => Some("it is no mailbox and no host"),
            Some(text) if text.starts_with('@') || text.ends_with('@') => {
                Some("it is no mailbox and no host")
            }
            Some(_) => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_is_excluded_by_one_name_that_it_covers() {
        assert!(host_within("*.a.example", "b.a.example", Side::Excluded));
        assert!(!host_within("*.a.example", "b.a.example", Side::Permitted));
        assert!(host_within("*.a.example", "a.example", Side::Permitted));
        assert!(!host_within("*.a.example", "c.b.a.example", Side::Excluded));
    }

    #[test]
    fn a_constraint_ends_at_a_label() {
        assert!(host_within("b.a.example", "a.example", Side::Permitted));
        assert!(!host_within("ba.example", "a.example", Side::Permitted));
        assert!(host_within("x.example", "", Side::Permitted));
        assert!(!host_within("a.example", ".a.example", Side::Permitted));
    }

    #[test]
    fn mailboxes_and_uris_are_held_to_their_hosts() {
        assert_eq!(mailbox_within("u@a.example", "a.example"), Some(true));
        assert_eq!(mailbox_within("u@b.a.example", "a.example"), Some(false));
        assert_eq!(mailbox_within("u@b.a.example", ".a.example"), Some(true));
        assert_eq!(mailbox_within("u@a.example", "*@a.example"), Some(false));
        assert_eq!(uri_within("https://b.a.example/x", ".a.example"), Some(true));
        assert_eq!(uri_within("https://a.example/", "a.example"), Some(true));
        assert_eq!(uri_within("https://192.0.2.1/", ".example"), None);
        assert_eq!(uri_within("urn:x", ".example"), None);
    }
}
