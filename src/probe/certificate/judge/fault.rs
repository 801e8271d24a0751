//! What is wrong with one certificate, before it becomes a finding.

use crate::model::{FindingDoc, Severity};

/// One thing that is wrong, or worth a word.
#[derive(Clone, Debug)]
pub struct Fault {
    /// What kind of thing.
    pub doc: &'static FindingDoc,
    /// How bad, where it differs from the documentation.
    pub severity: Severity,
    /// Whether users are cut off by it, where browsers do not accept the chain after all.
    pub broken: bool,
    /// Which certificate of the path: 0 is the leaf. `None`: the chain as a whole.
    pub position: Option<usize>,
    /// One line for people.
    pub summary: String,
    /// Whether a client that holds chains to all of RFC 5280 and of the CA/Browser Forum's baseline
    /// requirements refuses the chain for it.
    pub strict: bool,
    /// False for what could not be found out.
    pub measured: bool,
}

impl Fault {
    /// Something a strict client refuses.
    pub fn strict(
        doc: &'static FindingDoc,
        position: impl Into<Option<usize>>,
        summary: impl Into<String>,
    ) -> Self {
        Self { strict: true, ..Self::note(doc, position, summary) }
    }

    /// Something no client refuses.
    pub fn note(
        doc: &'static FindingDoc,
        position: impl Into<Option<usize>>,
        summary: impl Into<String>,
    ) -> Self {
        let (position, summary) = (position.into(), summary.into());
        Self {
            doc,
            severity: doc.severity,
            broken: doc.broken,
            position,
            summary,
            strict: false,
            measured: true,
        }
    }

    /// Something that could not be found out.
    pub fn unmeasured(
        doc: &'static FindingDoc,
        position: impl Into<Option<usize>>,
        summary: impl Into<String>,
    ) -> Self {
        Self { measured: false, ..Self::note(doc, position, summary) }
    }
}
