//! Where the records that count are (RFC 8659 section 3).

use crate::formats::dns::Name;

/// The records that count for a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relevant<T> {
    /// Where they are; `None` where neither the name nor anything above it has any.
    pub at: Option<Name>,
    /// The records.
    pub records: Vec<T>,
}

/// Asks `lookup` for the records of a name, and of the names above it, up to but without the root,
/// until there are some. A wildcard's own label is left out. `lookup` follows aliases, as resolvers do;
/// what stands above an alias's target does not count. No records are `Ok` and empty.
///
/// # Errors
/// A name whose records cannot be looked up, and why. An authority must not issue then, and nothing
/// can be said of what is above.
pub async fn climb<T, E, F>(name: &Name, mut lookup: impl FnMut(Name) -> F) -> Result<Relevant<T>, (Name, E)>
where
    F: Future<Output = Result<Vec<T>, E>>,
{
    let mut next = if name.is_wildcard() { name.parent() } else { Some(name.clone()) };
    while let Some(name) = next.filter(|name| !name.is_root()) {
        let records = lookup(name.clone()).await.map_err(|error| (name.clone(), error))?;
        if !records.is_empty() {
            return Ok(Relevant { at: Some(name), records });
        }
        next = name.parent();
    }
    Ok(Relevant { at: None, records: Vec::new() })
}
