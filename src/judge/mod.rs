//! Pure helpers that kinds share when they think about their facts.
