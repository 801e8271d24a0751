//! Structured logs on standard error: text on a terminal, JSON lines otherwise.

use std::io::IsTerminal as _;

use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, FilterFn, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// Starts logging at `level` unless `RUST_LOG` says otherwise.
pub fn start(level: &str, terminal: bool) {
    let wanted = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    let filter = wanted.and(discreet());
    // A line that cannot be written is lost; telling standard error so would panic when that is what
    // cannot be written, as a file on a full disk.
    let lines = tracing_subscriber::fmt::layer().log_internal_errors(false).with_writer(std::io::stderr);
    let lines = if terminal {
        lines.with_target(false).with_ansi(std::io::stderr().is_terminal()).with_filter(filter).boxed()
    } else {
        lines.json().flatten_event(true).with_filter(filter).boxed()
    };
    // A second start, as in tests, keeps the first.
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// Keeps out what libraries tell to those who debug them: an HTML parser tells each word of a page, and
/// thus every token on it, whatever `RUST_LOG` says.
fn discreet() -> FilterFn {
    filter_fn(is_discreet)
}

fn is_discreet(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::INFO || metadata.target().split("::").next() == Some("portalwatch")
}
