//! What a check exposes beside its verdict: values with labels, one metric family each name.

/// A metric family that a kind fills. Always a gauge.
#[derive(Debug, PartialEq, Eq)]
pub struct SeriesDoc {
    /// The name, `portalwatch_` prefix and base unit included.
    pub name: &'static str,
    /// One line of help.
    pub help: &'static str,
}

/// One value of a family. The labels `portal` and `check` are added where it is exposed.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The family.
    pub doc: &'static SeriesDoc,
    /// Names and values of the labels; no two series of a family have equal ones.
    pub labels: Vec<(&'static str, String)>,
    /// The value; one that is not finite is left out.
    pub value: f64,
}
