//! Compiled templates that stand in a config many times are kept once: the engine needs some 12 KB
//! for each.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

/// What was compiled and is still in use, by its text.
pub(super) struct Shared<T>(LazyLock<Mutex<HashMap<Box<str>, Weak<T>>>>);

impl<T> Shared<T> {
    pub const fn new() -> Self {
        Self(LazyLock::new(Mutex::default))
    }

    /// What was made of the same text before, else what `make` makes of it.
    pub fn get<E>(&self, text: &str, make: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = kept.get(text).and_then(Weak::upgrade) {
            return Ok(made);
        }
        let made = Arc::new(make()?);
        // A reload leaves the texts of the earlier config behind.
        if kept.len() == kept.capacity() {
            kept.retain(|_, made| made.strong_count() > 0);
        }
        kept.insert(text.into(), Arc::downgrade(&made));
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_compiled_once_while_it_is_in_use() {
        static SHARED: Shared<String> = Shared::new();
        let make = |text: &str| SHARED.get(text, || Ok::<_, ()>(text.to_owned())).unwrap();
        let first = make("a");
        assert!(Arc::ptr_eq(&first, &make("a")));
        assert!(!Arc::ptr_eq(&first, &make("b")));
        for text in 0..1000 {
            make(&text.to_string());
        }
        let kept = SHARED.0.lock().unwrap().len();
        assert!(kept < 100, "{kept} of 1002 texts are kept");
        assert!(Arc::ptr_eq(&first, &make("a")));
    }

    #[test]
    fn what_cannot_be_compiled_is_not_kept() {
        static SHARED: Shared<String> = Shared::new();
        assert_eq!(SHARED.get("a", || Err("no")).unwrap_err(), "no");
        assert_eq!(*SHARED.get("a", || Ok::<_, ()>("yes".to_owned())).unwrap(), "yes");
    }
}
