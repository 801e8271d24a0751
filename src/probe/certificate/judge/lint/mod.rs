//! Lints: what is wrong with a certificate although it may work in browsers. Each is a pure function
//! over one certificate and its place; most are rules that a strict client refuses a certificate for.

mod authority;
mod form;
mod key;
mod leaf;
mod names;

use super::Purpose;
use super::fault::Fault;
use super::path::Path;
use crate::formats::x509::Certificate;

/// The place of a certificate in its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The one that is asked about.
    Leaf,
    /// An authority below a root.
    Intermediate,
    /// The trusted end.
    Root,
}

/// A certificate and its place.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The certificate.
    pub certificate: &'a Certificate,
    /// Its place.
    pub role: Role,
    /// Its number in the path; 0 is the leaf.
    pub position: usize,
    /// The certificate of its issuer, where that is known.
    pub issuer: Option<&'a Certificate>,
    /// What the leaf is used for.
    pub purpose: Purpose,
    /// Whether the path ends at a root of Mozilla's store.
    pub public: bool,
}

impl Seen<'_> {
    fn is_authority(&self) -> bool {
        self.role != Role::Leaf
    }
}

type Lint = fn(&Seen<'_>) -> Option<Fault>;

const LINTS: &[Lint] = &[
    form::version,
    form::serial,
    form::dates,
    form::unreadable,
    form::empty_names,
    form::criticality,
    form::authority_key,
    key::weak,
    key::short,
    key::roca,
    names::alternative_names,
    names::public_suffix,
    names::internal,
    names::common_name,
    leaf::authority,
    leaf::usage,
    leaf::lifetime,
    leaf::client_auth,
    authority::subject_key,
    authority::usage,
    authority::name_constraints,
];

/// All lints of all certificates of a path.
pub fn faults(path: &Path<'_>, purpose: Purpose) -> Vec<Fault> {
    let all = path.with_root();
    let root = path.root_position();
    let public = path.anchor.is_some_and(|anchor| anchor.public);
    let mut faults = Vec::new();
    for (position, certificate) in all.iter().copied().enumerate() {
        let role = match position {
            0 => Role::Leaf,
            _ if root == Some(position) => Role::Root,
            _ => Role::Intermediate,
        };
        let issuer = all.get(position + 1).copied();
        let seen = Seen { certificate, role, position, issuer, purpose, public };
        faults.extend(LINTS.iter().filter_map(|lint| lint(&seen)));
    }
    faults
}
