//! What stands before every page: the `Host` check, credentials, and the headers of answers.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::auth::{Denied, Scope};
use super::{Shared, host, page};

/// Refuses a request that does not name this daemon.
pub async fn require_host(State(served): State<Shared>, request: Request, next: Next) -> Response {
    if host::is_ours(request.uri(), request.headers(), &served.surface.external_url) {
        return next.run(request).await;
    }
    let text = "This daemon does not answer to that Host. Reach it as localhost, or set \
                server.external_url to the address you use.\n";
    (StatusCode::MISDIRECTED_REQUEST, text).into_response()
}

/// Refuses a request without the credentials its method needs.
pub async fn authorize(State(served): State<Shared>, request: Request, next: Next) -> Response {
    let need =
        if matches!(*request.method(), Method::GET | Method::HEAD) { Scope::Read } else { Scope::Operate };
    let auth = &served.surface.auth;
    let Err(denied) = auth.check(request.headers(), need) else { return next.run(request).await };
    if let Some(count) = auth.refuse() {
        let path = request.uri().path();
        tracing::warn!(path, count, ?denied, "refused requests without sufficient credentials");
    }
    match denied {
        Denied::Unauthorized => unauthorized(&auth.challenges()),
        Denied::Forbidden => {
            let text = "Not allowed: the token's scope does not reach, or server.auth is not set.\n";
            (StatusCode::FORBIDDEN, text).into_response()
        }
    }
}

fn unauthorized(challenges: &[&'static str]) -> Response {
    let text = "Credentials needed: a bearer token or the user of server.auth.\n";
    let mut response = (StatusCode::UNAUTHORIZED, text).into_response();
    for challenge in challenges {
        response.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    }
    response
}

/// The answer to an unknown path.
pub async fn not_found() -> Response {
    (StatusCode::NOT_FOUND, "No such page. There are /, /metrics, /healthz and /readyz.\n").into_response()
}

/// The answer to a method other than GET and HEAD.
pub async fn wrong_method() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "This page only takes GET and HEAD.\n").into_response()
}

/// Forbids what no answer of ours needs: scripts, frames, referrers, guessing of types, caches.
pub async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, page::policy().clone());
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
