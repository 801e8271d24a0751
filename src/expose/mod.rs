//! The HTTP surface: metrics, health, pages.
//!
//! `/healthz` and `/readyz` are open to whoever reaches the port, under any `Host`: containers and
//! load balancers probe by address, and the two say nothing about what is watched. Everything else
//! must name this daemon in `Host` and, where `server.auth` is configured, bring credentials.

pub mod auth;
mod exposition;
mod guard;
pub mod health;
mod host;
mod labels;
mod metrics;
mod page;
mod serve;
pub mod wire;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};
use jiff::tz::TimeZone;

pub use auth::{Auth, Scope};
pub use health::{Health, Role, StoreState};
pub use metrics::PER_CHECK_LIMIT;
pub use serve::serve;

use crate::clock::Clock;
use crate::model::{CheckId, Incident, Labels};
use crate::record::Store;
use crate::record::live::Live;
use crate::telemetry::telemetry;
use exposition::Source;

/// For the store to name the open incidents, before the page shows those it knows anyway.
const STORE_TIMEOUT: Duration = Duration::from_secs(2);

/// Checks read at a time for the metrics: the engine waits no longer than for these.
const CHECKS_PER_READ: usize = 500;

/// What the config says about one check, for the metrics.
#[derive(Clone, Debug, Default)]
pub struct CheckInfo {
    /// The user's labels.
    pub labels: Labels,
}

/// What the config says about every check; replaced whole at a reload.
pub type Infos = RwLock<Arc<HashMap<CheckId, CheckInfo>>>;

/// Everything the surface reads.
pub struct Surface {
    /// What every check says now.
    pub live: Arc<Live>,
    /// Read for the open incidents only.
    pub store: Arc<dyn Store>,
    /// Tells the time that is shown.
    pub clock: Arc<dyn Clock>,
    /// Who may see it.
    pub auth: Auth,
    /// `server.external_url`: its host is accepted in `Host`.
    pub external_url: url::Url,
    /// `metrics.per_check`; `None` writes per-check series up to 5,000 checks.
    pub per_check_metrics: Option<bool>,
    /// The zone of the times on the page.
    pub timezone: TimeZone,
    /// How the daemon itself is.
    pub health: Arc<Health>,
    /// What the config says about every check.
    pub infos: Arc<Infos>,
}

type Shared = Arc<Served>;

/// The surface and what is made of it once.
struct Served {
    surface: Surface,
    sources: Vec<Source>,
    /// One rendering of the metrics at a time, so that many scrapers cost memory and a core once.
    rendering: tokio::sync::Semaphore,
}

/// The pages as a service; [`serve`] puts it behind a listener.
pub fn router(surface: Surface) -> Router {
    let sources = sources(&surface);
    let served = Arc::new(Served { surface, sources, rendering: tokio::sync::Semaphore::new(1) });
    let guarded = Router::new()
        .route("/", get(index))
        .route("/metrics", get(metrics_page))
        .method_not_allowed_fallback(guard::wrong_method)
        .route_layer(middleware::from_fn_with_state(Arc::clone(&served), guard::authorize))
        .fallback(guard::not_found)
        .layer(middleware::from_fn_with_state(Arc::clone(&served), guard::require_host));
    let open = Router::new()
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .method_not_allowed_fallback(guard::wrong_method);
    guarded.merge(open).layer(middleware::map_response(guard::harden)).with_state(served)
}

fn sources(surface: &Surface) -> Vec<Source> {
    let (live, totals_live) = (Arc::clone(&surface.live), Arc::clone(&surface.live));
    let infos = Arc::clone(&surface.infos);
    let per_check = surface.per_check_metrics;
    let process = prometheus::process_collector::ProcessCollector::for_self();
    vec![
        Source::new("checks", move || per_check_families(&live, &infos, per_check)),
        Source::new("totals", move || totals_live.read(|checks| metrics::totals(checks.values()))),
        Source::new("build", metrics::build_info),
        Source::new("process", move || prometheus::core::Collector::collect(&process)),
        // Last, so that what the others lose is counted on the same page.
        Source::new("telemetry", || telemetry().registry.gather()),
    ]
}

fn per_check_families(
    live: &Live,
    infos: &Infos,
    wanted: Option<bool>,
) -> Vec<prometheus::proto::MetricFamily> {
    let infos = Arc::clone(&infos.read().unwrap_or_else(PoisonError::into_inner));
    let mut ids: Vec<CheckId> = live.read(|checks| checks.keys().cloned().collect());
    if !wanted.unwrap_or(ids.len() <= metrics::PER_CHECK_LIMIT) {
        return Vec::new();
    }
    ids.sort_unstable();
    let mut families = metrics::PerCheck::new();
    for some in ids.chunks(CHECKS_PER_READ) {
        live.read(|checks| {
            for (id, present) in some.iter().filter_map(|id| Some((id, checks.get(id)?))) {
                families.add(id, present, infos.get(id).map(|info| &info.labels));
            }
        });
    }
    families.finish()
}

async fn metrics_page(State(served): State<Shared>) -> Response {
    let Ok(_permit) = served.rendering.acquire().await else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let renderer = Arc::clone(&served);
    match tokio::task::spawn_blocking(move || exposition::render(&renderer.sources)).await {
        Ok(page) => ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], page).into_response(),
        Err(error) => {
            tracing::error!(%error, "/metrics could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn healthz(State(served): State<Shared>) -> Response {
    let vitals = served.surface.health.vitals();
    let status = if vitals.alive() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &vitals.healthz())
}

async fn readyz(State(served): State<Shared>) -> Response {
    let vitals = served.surface.health.vitals();
    let status = if vitals.ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(status, &vitals.readyz(served.surface.clock.now()))
}

fn json(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_string(body) {
        Ok(text) => (status, [(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn index(State(served): State<Shared>) -> Response {
    let incidents = open_incidents(&served.surface).await;
    // With many checks it takes a while; the runtime's threads have probes to run.
    match tokio::task::spawn_blocking(move || page_of(&served.surface, &incidents)).await {
        Ok(page) => axum::response::Html(page).into_response(),
        Err(error) => {
            tracing::error!(%error, "the page could not be rendered");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn page_of(surface: &Surface, incidents: &[Incident]) -> String {
    let view = page::View {
        now: surface.clock.now(),
        timezone: &surface.timezone,
        vitals: &surface.health.vitals(),
        incidents,
        checks: surface.live.read(page::Checks::of),
    };
    page::render(&view).into_string()
}

/// The open incidents of the store, and of the present when the store does not answer.
async fn open_incidents(surface: &Surface) -> Vec<Incident> {
    match tokio::time::timeout(STORE_TIMEOUT, surface.store.open_incidents()).await {
        Ok(Ok(incidents)) => incidents,
        Ok(Err(error)) => {
            tracing::warn!(%error, "the page shows open incidents without the store");
            live_incidents(&surface.live)
        }
        Err(_) => live_incidents(&surface.live),
    }
}

fn live_incidents(live: &Live) -> Vec<Incident> {
    let mut incidents: Vec<Incident> = live
        .read(|checks| checks.values().filter_map(|present| present.incident.as_deref().cloned()).collect());
    incidents.retain(Incident::is_open);
    incidents.sort_by_key(|incident| incident.started);
    incidents
}

#[cfg(test)]
mod tests;
