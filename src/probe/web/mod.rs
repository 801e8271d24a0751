//! What kinds that speak HTTP share. No kind itself.
//!
//! [`values`], [`scalars`] and [`expect`] are what a config says; [`walk`] goes from a request to the
//! answer that is judged; [`facts`] is what may be seen, [`mod@matches`] what comes of expectations,
//! [`words`] says it; [`mask`] keeps secrets out of it.

pub mod expect;
pub mod facts;
pub mod mask;
pub mod matches;
pub mod oauth;
pub mod redirect;
pub mod scalars;
pub mod shell;
pub mod tls;
pub mod values;
pub mod walk;
pub mod words;
